"""Trained weights as initial ones: what fits is taken, a head may be new, anything else is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from synthbench.errors import ConfigError, PluginError
from synthbench.plugin.api import Budget, Context, Init
from synthbench.toolkit.training.initial_weights import (
    check_tensors,
    initialise_from,
    input_channels,
    read_start,
    refuse_new_head,
    repeat_input,
    tensor_problem,
)


def network(planes: int = 2, channels: int = 1, width: int = 3) -> nn.Sequential:
    torch.manual_seed(planes)
    return nn.Sequential(nn.Conv2d(channels, width, 3), nn.BatchNorm2d(width), nn.Conv2d(width, planes, 1))


def trained(**changes: int) -> dict[str, torch.Tensor]:
    source = network(**changes)
    return {name: value + 1 for name, value in source.state_dict().items()}


def test_weights_and_statistics_are_taken() -> None:
    net, tensors = network(), trained()
    assert initialise_from(net, tensors, "file")
    assert all(torch.equal(value, tensors[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize(("planes", "keep"), [(5, True), (2, False)])
def test_a_head_of_another_kind_keeps_what_was_drawn(planes: int, keep: bool) -> None:
    net, drawn, tensors = network(planes), network(planes).state_dict(), trained()
    lines: list[str] = []
    assert not initialise_from(net, tensors, "file", heads=["2."], keep_heads=keep, notify=lines.append)
    assert len(lines) == 1
    for name, value in net.state_dict().items():
        assert torch.equal(value, (drawn if name.startswith("2.") else tensors)[name])


def test_a_file_without_a_head_starts_the_others() -> None:
    tensors = {name: value for name, value in trained().items() if not name.startswith("2.")}
    assert not initialise_from(network(), tensors, "file", heads=["2."])
    with pytest.raises(PluginError, match=r"2\.bias"):
        initialise_from(network(), tensors, "file")


@pytest.mark.parametrize(
    ("tensors", "named"),
    [
        (trained(width=4), "0.weight"),
        (trained(channels=3), "0.weight"),
        ({**trained(), "more.weight": torch.zeros(1)}, "more.weight"),
        ({**trained(), "0.weight": torch.full((3, 1, 3, 3), torch.nan)}, "0.weight holds values that aren't finite"),
        ({**trained(), "0.weight": torch.ones(3, 1, 3, 3, dtype=torch.int64)}, "0.weight holds values of type int64"),
        ({**trained(), "0.bias": torch.ones(3, dtype=torch.complex64)}, "0.bias holds values of type complex64"),
        ({}, "missing"),
    ],
)
def test_another_networks_weights_are_refused_and_change_nothing(tensors: dict[str, torch.Tensor], named: str) -> None:
    net, before = network(), network().state_dict()
    with pytest.raises(PluginError, match=named) as caught:
        initialise_from(net, tensors, "x.pt", heads=["2."], hint="do that")
    assert str(caught.value).startswith("x.pt")
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_weights_are_checked_against_a_network_without_values() -> None:
    with torch.device("meta"):
        expected = network().state_dict()
    check_tensors(expected, trained(), "x.pt")
    check_tensors(expected, {name: value.to(torch.float64) for name, value in trained().items()}, "x.pt")
    with pytest.raises(PluginError, match=r"x\.pt: 2\.bias holds values that aren't finite"):
        check_tensors(expected, {**trained(), "2.bias": torch.tensor([1.0, torch.inf])}, "x.pt")


def test_a_grey_picture_as_rgb_gets_the_same_answer() -> None:
    grey = nn.Conv2d(1, 4, 3)
    rgb = nn.Conv2d(3, 4, 3)
    rgb.load_state_dict({"weight": repeat_input(grey.weight.detach(), 3), "bias": grey.bias.detach()})
    image = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rgb(image.expand(-1, 3, -1, -1)), grey(image))


def test_a_problem_names_what_differs() -> None:
    assert tensor_problem({"a": (1, 2)}, {"a": [1, 2]}) == ""
    assert "(2, 1)" in tensor_problem({"a": (1, 2)}, {"a": (2, 1)})
    assert "b" in tensor_problem({"a": (1,), "b": (1,)}, {"a": (1,)})


def test_a_head_that_would_never_be_trained_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"x\.pt"):
        refuse_new_head(Context(), "x.pt")
    refuse_new_head(Context(budget=Budget(1)), "x.pt")


@pytest.mark.parametrize(
    ("images", "weights", "expected"), [(1, 1, 1), (3, 1, 3), (1, 3, 3), (2, 1, 2), (4, 1, 4), (2, 2, 2), (4, 4, 4)]
)
def test_a_network_has_the_channels_of_its_images_or_takes_grey_for_rgb(
    images: int, weights: int, expected: int
) -> None:
    assert input_channels(images, weights, "w") == expected


@pytest.mark.parametrize(("images", "weights"), [(2, 3), (1, 2), (3, 4), (4, 2)])
def test_weights_of_other_channels_are_refused_in_one_line(images: int, weights: int) -> None:
    with pytest.raises(PluginError, match=f"init w: .*{weights} channels.*{images}"):
        input_channels(images, weights, "w")


@pytest.mark.parametrize(
    ("init", "expected"),
    [(None, None), (Init(file=Path("w.pt")), ("file", Path("w.pt"))), (Init(model=Path("m")), ("model", Path("m")))],
)
def test_a_start_is_read_by_what_it_is(init: Init | None, expected: tuple[str, Path] | None) -> None:
    context = Context(init=init)
    assert read_start(context, lambda path: ("file", path), lambda folder: ("model", folder)) == expected
