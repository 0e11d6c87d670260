"""Subnormal numbers are 0 while a network trains, by either executor, and what they were before and after."""

import pytest
import torch

import grokking_pl as gp
from grokking_pl.training import Loss

CALLS = {
    "fit": lambda folder, settings: gp.fit(
        "toy_addition",
        settings | {"trainer.max_steps": 3, "trainer.enable_progress_bar": False},
        run_dir=folder,
    ),
    "diagram": lambda folder, settings: gp.diagram(
        {
            "base": "toy_addition",
            "set": settings,
            "axes": {"model.decoder.lr": [1e-4, 1e-3]},
            "steps": 3,
            "workers": 1,
            "compile": False,
            "device": "cpu",
        },
        folder=folder,
    ),
}


def tenth_of_the_smallest_normal_number():
    return float(torch.full((), torch.finfo(torch.float32).tiny) * 0.1)


class Probe(Loss):
    """The squared error, which notes each time what a subnormal number becomes."""

    seen: set[float] = set()  # noqa: RUF012

    def __call__(self, outputs, targets):
        self.seen.add(tenth_of_the_smallest_normal_number())
        return (outputs - targets).square().mean(-1)


class Broken(Loss):
    """One that ends the training half-way."""

    def __call__(self, outputs, targets):
        if tenth_of_the_smallest_normal_number() == 0:
            raise ArithmeticError("broken")
        return (outputs - targets).square().mean(-1)


@pytest.mark.parametrize("call", CALLS)
def test_flushed_while_training(call, tmp_path):
    Probe.seen.clear()
    CALLS[call](tmp_path / "run", {"model.loss": f"{__name__}.Probe", "model.architecture.width": 8})
    assert Probe.seen == {0.0}
    assert tenth_of_the_smallest_normal_number() > 0


@pytest.mark.parametrize("call", CALLS)
def test_as_before_after_a_failure(call, tmp_path):
    with pytest.raises(Exception, match="broken"):
        CALLS[call](tmp_path / "run", {"model.loss": f"{__name__}.Broken", "model.architecture.width": 8})
    assert tenth_of_the_smallest_normal_number() > 0
