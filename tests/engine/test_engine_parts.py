"""The scheduler with an engine made for the test; GPUs and threads; costs; why."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable
from pathlib import Path

import pytest

from synthbench.engine import devices
from synthbench.engine.base import Engine, Options, Outcome
from synthbench.engine.local import LocalEngine
from synthbench.engine.schedule import Elsewhere, Missing, run_tasks
from synthbench.errors import ConfigError, StoreError
from synthbench.plugin.api import Config
from synthbench.processes.interpreter import Interpreter
from synthbench.processes.signals import Interrupted
from synthbench.store import Store, key_of
from synthbench.study.explain import differences, explain, flat
from synthbench.study.plan import Task
from synthbench.study.runtime_estimates import RuntimeEstimates, format_duration


class Scripted(Engine[Config]):
    """Finishes what it is given in order, `slots` at a time; what is named fails, or is busy the first time."""

    def __init__(self, places: int, failing: Iterable[str] = (), busy: Iterable[str] = ()) -> None:
        super().__init__(Options("store", workers=places), Config())
        self.failing, self.busy = set(failing), set(busy)
        self.order: list[str] = []
        self.most = 0
        self._running: list[Task] = []

    def free(self) -> int:
        return self.slots - len(self._running)

    def start(self, task: Task) -> None:
        assert self.free()
        self.order.append(task.label)
        self._running.append(task)
        self.most = max(self.most, len(self._running))

    def wait(self, seconds: float) -> list:
        if not self._running:
            return []
        task = self._running.pop(0)
        if task.label in self.busy:
            self.busy.remove(task.label)
            return [Outcome(task.key, "busy")]
        return [Outcome(task.key, "failed" if task.label in self.failing else "done")]

    def close(self, grace: float = 0.0) -> list:
        return []


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def task(label: str, *needs: str, kind: str = "draw") -> Task:
    return Task(kind, key_of(label), {"plugin": {"budget": {}}}, tuple(map(key_of, needs)), {}, label)


DIAMOND = [task("a"), task("b", "a"), task("c", "a"), task("d", "b", "c"), task("e")]


def test_nothing_starts_before_what_it_needs_and_slots_are_filled(store: Store) -> None:
    engine = Scripted(2)
    run_tasks(DIAMOND, engine, store, lambda _: None)
    assert sorted(engine.order) == ["a", "b", "c", "d", "e"]
    assert engine.order.index("a") < engine.order.index("b") < engine.order.index("d")
    assert engine.most == 2


def test_a_failure_holds_up_only_what_depends_on_it_and_says_so(store: Store) -> None:
    heard: list = []
    engine = Scripted(1, failing=["b"])
    run_tasks(DIAMOND, engine, store, heard.append)
    assert "d" not in engine.order
    assert {"c", "e"} <= set(engine.order)
    assert [h for h in heard if isinstance(h, Missing)] == [Missing(key_of("d"), key_of("b"))]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_in_the_middle_of_a_message_stops_the_run_and_tears_nothing(monkeypatch, store: Store, number) -> None:
    whole = Interpreter.receive
    reads = 0

    def interrupted(self: Interpreter) -> list:
        nonlocal reads
        reads += 1
        if reads == 1:
            os.kill(os.getpid(), number)
        return whole(self)

    def ctrl_c(*_: object) -> None:
        raise KeyboardInterrupt

    before = {each: signal.signal(each, ctrl_c) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    monkeypatch.setattr(Interpreter, "receive", interrupted)
    heard: list = []
    try:
        with pytest.raises(Interrupted):
            run_tasks([task("a")], LocalEngine(Options(str(store.root)), Config()), store, heard.append)
        assert {each: signal.getsignal(each) for each in before} == dict.fromkeys(before, ctrl_c)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert reads > 1
    assert {h.key for h in heard} <= {key_of("a")}


def test_a_task_that_turns_out_to_be_busy_is_tried_again_and_others_run_meanwhile(store: Store) -> None:
    engine = Scripted(1, busy=["a"])
    run_tasks(DIAMOND, engine, store, lambda _: None)
    assert engine.order[0] == "a"
    assert engine.order[1] == "e", "nothing waits while something else can run"
    assert sorted(engine.order) == ["a", "a", "b", "c", "d", "e"]


def test_what_another_process_computes_is_left_to_it_and_told(store: Store) -> None:
    claim = store.claim("draw", key_of("a"))
    assert claim is not None
    heard: list = []

    def listen(message: object) -> None:
        heard.append(message)
        if isinstance(message, Outcome) and message.key == key_of("e"):
            store.begin("draw", key_of("a"))
            store.commit("draw", key_of("a"), "a", {"seconds": 7.0})
            claim.release()

    engine = Scripted(1)
    run_tasks(DIAMOND, engine, store, listen)
    assert engine.order == ["e", "b", "c", "d"]
    (away,) = [message for message in heard if isinstance(message, Elsewhere)]
    assert away.key == key_of("a")
    assert away.holder is not None
    assert away.holder.pid == os.getpid()
    assert Outcome(key_of("a"), "stored", seconds=7.0) in heard


def test_what_another_process_gave_up_is_computed_here(store: Store) -> None:
    claim = store.claim("draw", key_of("a"))
    assert claim is not None
    heard: list = []

    def listen(message: object) -> None:
        heard.append(message)
        if isinstance(message, Outcome) and message.key == key_of("e"):
            claim.release()

    engine = Scripted(1)
    run_tasks(DIAMOND, engine, store, listen)
    assert engine.order == ["e", "a", "b", "c", "d"]
    assert Elsewhere(key_of("a"), None) in heard


def test_what_a_task_needs_and_is_not_in_the_list_is_taken_as_stored(store: Store) -> None:
    engine = Scripted(1)
    run_tasks([task("b", "a")], engine, store, lambda _: None)
    assert engine.order == ["b"]


def test_generators_that_train_long_begin_first(store: Store) -> None:
    def fit(label: str, steps: int) -> Task:
        budget = {"steps": steps, "batch_size": 1, "patch_size": 8}
        return Task("fit-generator", key_of(label), {"plugin": {"budget": budget}}, (), {}, label)

    engine = Scripted(1)
    run_tasks([task("x"), fit("short", 0), fit("long", 100)], engine, store, lambda _: None)
    assert engine.order == ["long", "short", "x"]


@pytest.mark.parametrize(
    ("device", "gpus"), [("auto", ["0", "2"]), ("cuda", ["0", "2"]), ("cuda:1", ["2"]), ("cpu", [])]
)
def test_a_device_is_chosen_from_the_gpus_that_are_visible(monkeypatch, device: str, gpus: list[str]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2")
    monkeypatch.setattr(devices, "usable", lambda: True)
    assert devices.choose(device) == gpus


def test_a_variable_without_a_driver_is_no_gpu(monkeypatch) -> None:
    """CUDA_VISIBLE_DEVICES is often set where there is no device, or torch is built for CPUs alone."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(devices, "usable", lambda: False)
    assert devices.choose("auto") == []
    with pytest.raises(ConfigError, match="no GPU can be used here"):
        devices.choose("cuda")


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "tpu", "cuda:x", "auto:1", ""])
def test_a_device_that_is_not_there_is_refused(monkeypatch, device: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ConfigError, match="--device"):
        devices.choose(device)


@pytest.mark.parametrize(("cores", "gpus"), [(1, 0), (2, 0), (8, 0), (16, 1), (64, 8)])
def test_cores_are_shared_out_without_running_short(cores: int, gpus: int) -> None:
    workers, threads = devices.share_cores(cores, gpus)
    assert workers >= 1
    assert threads >= 1
    assert gpus or workers * threads <= cores
    assert not gpus or workers == gpus


def test_a_lease_is_in_force_only_while_the_process_is_started(monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with devices.inherited(["1"], 3):
        assert devices.visible_gpus() == ["1"]
        assert devices.os.environ["OMP_NUM_THREADS"] == "3"
    assert devices.visible_gpus() == ["0", "1"]
    assert "OMP_NUM_THREADS" not in devices.os.environ


def put(store: Store, content: dict, seconds: float = 1.0, memory: float = 0.0) -> str:
    key = key_of(content)
    store.begin("draw", key)
    record = {"seconds": seconds, "peak_memory_mb": memory, "plugin": "p", "label": "x"}
    store.commit("draw", key, content, record)
    return key


def test_costs_are_learnt_from_the_store_and_from_the_run(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed, seconds in enumerate((1.0, 2.0, 9.0)):
        put(store, {"seed": seed, "count": 5}, seconds)
    like = Task("draw", "k", {"seed": 7, "count": 5}, (), {}, "", "p")
    other = Task("draw", "k", {"seed": 7, "count": 6}, (), {}, "", "p")
    estimates = RuntimeEstimates(store, ["draw"])
    assert estimates.seconds(like) == 2.0
    assert estimates.seconds(other) is None
    assert estimates.total([like, other]) == (2.0, 1)
    estimates.learn(other, 4.0)
    assert estimates.seconds(other) == 4.0


def test_memory_is_that_of_the_same_budget_or_else_of_the_same_plugin(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed, memory in enumerate((300.0, 500.0, 400.0)):
        put(store, {"seed": seed, "count": 5}, memory=memory)
    put(store, {"seed": 0, "count": 9}, memory=900.0)
    like, more, others = (Task("draw", "k", {"count": n}, (), {}, "", p) for n, p in ((5, "p"), (6, "p"), (5, "q")))
    estimates = RuntimeEstimates(store, ["draw"])
    assert estimates.peak_memory_mb(like) == 500.0
    assert estimates.peak_memory_mb(more) == 900.0
    assert estimates.peak_memory_mb(others) is None
    estimates.learn(like, 1.0)
    assert estimates.peak_memory_mb(like) == 500.0
    estimates.learn(more, 1.0, 200.0)
    assert estimates.peak_memory_mb(more) == 200.0
    estimates.learn(others, 1.0)
    assert estimates.peak_memory_mb(others) is None


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (89, "89 s"), (120, "2 min"), (5400, "1 h 30 min"), (7260, "2 h 01 min")]
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words


def test_why_names_what_differs_from_the_nearest(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, {"plugin": {"config": {"lr": 1, "depth": 3}}, "seed": 5})
    near = put(store, {"plugin": {"config": {"lr": 2, "depth": 3}}, "seed": 0})
    mine = {"plugin": {"config": {"lr": 4, "depth": 3}}, "seed": 0}
    planned = tmp_path / "plan.json"
    planned.write_text(json.dumps({key_of(mine): {"kind": "draw", "label": "mine", "content": mine}}))
    found = explain(key_of(mine)[:10], store, [planned])
    assert not found.stored
    assert found.nearest == near
    assert found.differences == [("plugin.config.lr", 4, 2)]


def test_why_refuses_a_key_that_is_unknown_or_not_unique(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, {"seed": 1})
    put(store, {"seed": 2})
    with pytest.raises(StoreError, match="no key begins so"):
        explain("zz", store)
    with pytest.raises(StoreError, match="give more digits"):
        explain("", store)


def test_differences_show_what_only_one_side_has() -> None:
    assert differences(flat({"a": {"b": 1}}), flat({"a": {"c": 2}})) == [("a.b", 1, None), ("a.c", None, 2)]
