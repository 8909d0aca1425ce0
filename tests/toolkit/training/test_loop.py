"""The training loop: taken up again, stopped, broken, saved."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from synthbench.errors import StoreError
from synthbench.plugin.api import Budget, Context, Stopped
from synthbench.plugin.precision import Precision, computing_in
from synthbench.toolkit.training.loop import Diverged, autocast, prepare_torch, train
from synthbench.toolkit.training.schedules import averaged_model, cosine, linear_tail, linear_warmup, one_cycle
from synthbench.toolkit.training.weights import load_weights, save_weights

STEPS = 12


class Work:
    """Two networks, two optimisers, batch norm, dropout, an average, and noise: all that a GAN needs kept."""

    def __init__(self, context: Context) -> None:
        self.noise = prepare_torch(context)
        self.network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Conv2d(4, 1, 1))
        self.critic = nn.Linear(4, 1)
        self.adam = torch.optim.AdamW(self.network.parameters(), lr=1e-2)
        self.rms = torch.optim.RMSprop(self.critic.parameters(), lr=1e-2)
        self.schedule = LambdaLR(self.adam, lambda step: one_cycle(step, STEPS))
        self.average = averaged_model(self.network, 0.9)
        self.seen: list[int] = []
        self.types: set[torch.dtype] = set()
        self.poison = -1

    @property
    def parts(self) -> dict[str, object]:
        names = ("network", "critic", "adam", "schedule", "rms", "average", "noise")
        return {name: getattr(self, name) for name in names}

    def step(self, number: int) -> dict[str, torch.Tensor | float]:
        self.seen.append(number)
        images = torch.randn(2, 1, 4, 4, generator=self.noise)
        with autocast("cpu"):
            drawn, scores = self.network(images), self.critic(images.flatten(1)[:, :4])
        self.types.add(drawn.dtype)
        loss, critic = (drawn.float() ** 2).mean(), (scores.float() - 1).square().mean()
        for optimiser, value in ((self.adam, loss), (self.rms, critic)):
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
        self.schedule.step()
        self.average.update_parameters(self.network)
        if number == self.poison:
            return {"loss": loss * float("nan"), "critic": critic}
        return {"loss": loss, "critic": critic.item()}

    def weights(self) -> list[torch.Tensor]:
        states = (self.network.state_dict(), self.critic.state_dict(), self.average.state_dict())
        return [value for state in states for value in state.values()]


def run(context: Context, *, every: float = 20.0, poison: int = -1) -> Work:
    work = Work(context)
    work.poison = poison
    train(context, state=work.parts, step=work.step, checkpoint_seconds=every)
    return work


def stopping(context: Context, after: int, **changes: object) -> Context:
    """The same context, asked to stop before step number `after`."""
    asked = iter(range(10**6))
    fields = {**context.__dict__, "should_stop": lambda: next(asked) >= after, **changes}
    return Context(**fields)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(seed=3, budget=Budget(STEPS, 2, 4), folder=tmp_path)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("after", [0, 1, 5, STEPS - 1])
def test_training_taken_up_again_ends_with_the_same_weights(context: Context, after: int, precision: Precision) -> None:
    with computing_in(precision):
        whole = run(Context(seed=3, budget=context.budget))
        with pytest.raises(Stopped):
            run(stopping(context, after))
        torch.rand(7)
        rest = run(context)
    assert rest.seen == list(range(after, STEPS))
    assert all(torch.equal(a, b) for a, b in zip(whole.weights(), rest.weights(), strict=True))


def test_a_killed_run_goes_on_from_its_last_checkpoint(context: Context) -> None:
    whole = run(Context(seed=3, budget=context.budget))

    class Killed(BaseException):
        pass

    work = Work(context)

    def step(number: int) -> dict[str, torch.Tensor | float]:
        if number == 8:
            raise Killed
        return work.step(number)

    with pytest.raises(Killed):
        train(context, state=work.parts, step=step, checkpoint_seconds=0.0)
    rest = run(context)
    assert 1 < len(rest.seen) < STEPS
    assert all(torch.equal(a, b) for a, b in zip(whole.weights(), rest.weights(), strict=True))


def test_finished_training_is_not_done_twice(context: Context) -> None:
    done = run(context)
    again = run(context)
    assert again.seen == []
    assert all(torch.equal(a, b) for a, b in zip(done.weights(), again.weights(), strict=True))


@pytest.mark.parametrize("change", [{"seed": 4}, {"budget": Budget(STEPS, 3, 4)}, {"budget": Budget(STEPS, 2, 5)}])
def test_a_checkpoint_of_another_run_is_left_alone(context: Context, change: dict[str, object]) -> None:
    run(context)
    other = run(Context(**{**context.__dict__, **change}))
    assert other.seen == list(range(STEPS))


def test_a_checkpoint_of_networks_of_another_shape_is_left_alone(context: Context) -> None:
    run(context)
    work = Work(context)
    work.critic = nn.Linear(4, 2)
    work.rms = torch.optim.RMSprop(work.critic.parameters(), lr=1e-2)
    train(context, state=work.parts, step=work.step)
    assert work.seen == list(range(STEPS))


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a checkpoint", b"\x80\x02cos\nsystem\n."])
def test_a_damaged_checkpoint_means_beginning_anew(context: Context, tmp_path: Path, damage: bytes) -> None:
    run(context)
    (tmp_path / "training.pt").write_bytes(damage)
    assert run(context).seen == list(range(STEPS))


def test_a_cut_checkpoint_means_beginning_anew(context: Context, tmp_path: Path) -> None:
    run(context)
    whole = (tmp_path / "training.pt").read_bytes()
    (tmp_path / "training.pt").write_bytes(whole[: len(whole) // 2])
    assert run(context).seen == list(range(STEPS))


def test_a_nan_loss_is_an_error_and_reaches_no_checkpoint(context: Context, tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="loss is nan by step"):
        run(context, poison=6)
    assert not (tmp_path / "training.pt").exists()


def test_weights_broken_by_the_last_step_are_an_error(context: Context) -> None:
    work = Work(context)

    def step(number: int) -> dict[str, torch.Tensor | float]:
        losses = work.step(number)
        if number == STEPS - 1:
            work.critic.weight.data.fill_(float("inf"))
        return losses

    with pytest.raises(Diverged, match="critic"):
        train(context, state=work.parts, step=step)


def test_progress_begins_and_ends_and_names_the_losses(context: Context) -> None:
    calls: list[tuple[int, int, str]] = []
    run(Context(**{**context.__dict__, "progress": lambda *a: calls.append(a)}))
    assert calls[0][:2] == (0, STEPS)
    assert calls[-1][:2] == (STEPS, STEPS)
    assert all(word in calls[-1][2] for word in ("loss ", "critic ", "images/s"))


def test_phases_of_one_fit_have_checkpoints_of_their_own(context: Context, tmp_path: Path) -> None:
    for phase in ("first", "second"):
        work = Work(context)
        train(context, state=work.parts, step=work.step, steps=5, name=phase)
        assert work.seen == list(range(5))
    assert {path.name for path in tmp_path.glob("*.*")} == {"first.pt", "second.pt"}


def test_an_unwritable_folder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "training.tmp").mkdir()  # in the way
    context = Context(budget=Budget(2), folder=tmp_path)
    with pytest.raises(StoreError, match=r"checkpoint can't be written"):
        run(context)


def test_saved_weights_come_back(tmp_path: Path) -> None:
    first, second = (nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)) for _ in range(2))
    first = first.to(memory_format=torch.channels_last)
    save_weights(first, tmp_path / "w.safetensors")
    load_weights(second, tmp_path / "w.safetensors")
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("what", ["missing", "cut", "another"])
def test_weights_that_do_not_fit_are_a_clear_error(tmp_path: Path, what: str) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(nn.Linear(3, 2), path)
    if what == "missing":
        path.unlink()
    if what == "cut":
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(StoreError, match=r"w\.safetensors"):
        load_weights(nn.Linear(4 if what == "another" else 3, 2), path)


def test_schedules_start_peak_and_end_where_they_say() -> None:
    steps = 101
    cycle = [one_cycle(i, steps) for i in range(steps)]
    assert cycle[0] == pytest.approx(0.04)
    assert cycle[25] == pytest.approx(1.0)
    assert cycle[-1] == pytest.approx(1e-4)
    assert max(cycle) == cycle[25]
    fall = [cosine(i, steps) for i in range(steps)]
    assert fall == sorted(fall, reverse=True)
    assert (fall[0], fall[50], fall[-1]) == pytest.approx((1.0, 0.5, 0.0))
    tail = [linear_tail(i, 100) for i in range(100)]
    assert tail[:51] == [1.0] * 51
    assert tail[75] == pytest.approx(0.5)
    assert tail[-1] == pytest.approx(0.02)
    assert one_cycle(0, 1) > 0
    assert [one_cycle(steps, steps), cosine(steps, steps), linear_tail(steps, steps)] == pytest.approx([1e-4, 0, 0])
    assert [linear_warmup(step, 4) for step in (0, 1, 3, 9)] == [0.25, 0.5, 1.0, 1.0]


def test_the_average_follows_the_network() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    average, expected = averaged_model(network, 0.5), 0.0
    network.weight.data.fill_(1.0)
    for step in range(20):
        average.update_parameters(network)
        kept = min(0.5, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept)
        assert float(average.module.weight) == pytest.approx(expected)
    assert not average.module.training
    assert not average.module.weight.requires_grad


def test_the_average_has_the_statistics_of_the_network() -> None:
    network = nn.BatchNorm1d(2)
    average = averaged_model(network)
    network(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
    average.update_parameters(network)
    assert average.module.running_mean.tolist() == pytest.approx([0.2, 0.4])


@pytest.mark.parametrize(("precision", "dtype"), [("auto", "float32"), ("fp32", "float32"), ("bf16", "bfloat16")])
def test_a_cpu_computes_in_bfloat16_where_that_is_chosen(precision: Precision, dtype: str) -> None:
    with computing_in(precision), autocast("cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == getattr(torch, dtype)
    with autocast("cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_weights_and_the_states_of_optimisers_stay_float32(context: Context) -> None:
    with computing_in("bf16"):
        work = run(Context(seed=3, budget=context.budget))
    exact = run(Context(seed=3, budget=context.budget))
    assert (work.types, exact.types) == ({torch.bfloat16}, {torch.float32})
    states = [value for one in (work.adam, work.rms) for state in one.state.values() for value in state.values()]
    floats = [
        value for value in (*work.weights(), *states) if isinstance(value, torch.Tensor) and value.is_floating_point()
    ]
    assert {value.dtype for value in floats} == {torch.float32}
    pairs = list(zip(work.weights(), exact.weights(), strict=True))
    assert not all(torch.equal(a, b) for a, b in pairs)
    assert all(torch.allclose(a, b, atol=0.05) for a, b in pairs)


def test_a_checkpoint_of_another_precision_is_not_used(context: Context) -> None:
    told: list[str] = []
    with computing_in("bf16"), pytest.raises(Stopped):
        run(stopping(context, 5))
    assert run(Context(**{**context.__dict__, "notify": told.append})).seen == list(range(STEPS))
    assert len(told) == 1
