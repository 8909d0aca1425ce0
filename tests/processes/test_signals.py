"""Signals that stop a command, and when they may come through."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from synthbench.cli import main
from synthbench.processes.signals import STOPS, Interrupted, defer_signals, interruptible, signal_number


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Handlers as a shell leaves them, put back afterwards."""
    before = {number: signal.getsignal(number) for number in STOPS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in STOPS[1:]:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_an_interrupt_that_knows_its_number(number: int) -> None:
    with pytest.raises(Interrupted) as caught, interruptible():
        os.kill(os.getpid(), number)
    assert signal_number(caught.value) == number
    assert signal.getsignal(number) is signal.SIG_DFL


def test_ctrl_c_is_what_it_always_is() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, interruptible():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal_number(caught.value) == signal.SIGINT


def test_what_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with interruptible(), defer_signals():
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_while_held_a_signal_waits_for_the_end() -> None:
    reached = []

    @defer_signals()
    def reach() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        reached.append(True)

    with pytest.raises(Interrupted), interruptible():
        reach()
    assert reached


@pytest.mark.parametrize(
    ("interrupt", "code"),
    [(KeyboardInterrupt(), 130), (Interrupted(signal.SIGTERM), 143), (Interrupted(signal.SIGHUP), 129)],
)
def test_a_stopped_command_says_so_with_the_code_that_shells_use(
    interrupt: KeyboardInterrupt, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(_: object) -> int:
        raise interrupt

    for command, said in (
        ("run", "stopped; what is finished is kept, and the same command resumes"),
        ("list", "stopped"),
    ):
        monkeypatch.setattr(f"synthbench.cli.{command}.run", stopped)
        assert main([command]) == code
        assert capsys.readouterr().err == f"synthbench: {said}\n"
