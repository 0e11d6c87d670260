"""A diagram stopped by Ctrl-C or SIGTERM at any step ends with the tables of one that was not stopped."""

import os
import signal
import threading

import pytest

import grokking_pl as gp
from grokking_pl.population.held_signals import HeldSignals
from grokking_pl.training import Loss

SETTINGS = {
    "base": "toy_addition",
    "steps": 150,
    "seeds": [1, 2],
    "axes": {"model.decoder.lr": [1e-3, 3e-3]},
    "set": {"model.loss": f"{__name__}.Interrupting"},
    "workers": 1,
    "compile": False,
}
calls = 0
interruptions: dict[int, int] = {}


class Interrupting(Loss):
    """The squared error, whose computation is interrupted at some calls."""

    def __call__(self, outputs, targets):
        global calls
        calls += 1
        number = interruptions.get(calls)
        if number:
            signal.raise_signal(number)
        return (outputs - targets).square().mean(-1)


def stop(number, frame):
    raise KeyboardInterrupt(number)


@pytest.fixture
def handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, stop)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def train(folder, every, at=None):
    global calls
    calls = 0
    interruptions.clear()
    interruptions.update(at or {})
    return gp.diagram(SETTINGS | {"phase": {"every_n_steps": every}}, folder=folder)


@pytest.mark.parametrize("every", [1, 20])
def test_stopped_at_any_step_it_goes_on(every, tmp_path, handlers):
    train(tmp_path / "whole", every)
    stopped = tmp_path / "stopped"
    for at in ({57: signal.SIGINT}, {31: signal.SIGTERM}):
        with pytest.raises(KeyboardInterrupt):
            train(stopped, every, at)
    train(stopped, every)
    for name in ("runs.csv", "curves.csv"):
        assert sorted((stopped / name).read_text().splitlines()) == sorted(
            (tmp_path / "whole" / name).read_text().splitlines()
        )


def test_the_second_signal_takes_effect_at_once(tmp_path, handlers):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "d", 20, {30: signal.SIGINT, 31: signal.SIGINT})
    assert calls == 31


def test_signals_are_handled_as_before_after_the_block(handlers):
    with HeldSignals() as held:
        os.kill(os.getpid(), signal.SIGTERM)
        assert held
        with pytest.raises(KeyboardInterrupt) as error:
            held.release()
    assert error.value.args == (signal.SIGTERM,)
    assert signal.getsignal(signal.SIGTERM) is stop
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_hold_nothing(handlers):
    def work():
        with HeldSignals() as held:
            found.append((bool(held), signal.getsignal(signal.SIGINT)))

    found = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(False, signal.default_int_handler)]
