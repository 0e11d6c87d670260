"""The help of a class's options: short, and one line where there is none."""

import pytest

from tests.conftest import ROOT

TOY = ("fit", "--config", ROOT / "configs/toy_classification.yaml")


def test_the_help_of_an_architecture_is_short(grok):
    """An option that takes any module does not list all of torch."""
    status, out, _ = grok(*TOY, "--model.architecture.help=OneHotMLP")
    assert status == 0
    assert "number of linear layers" in out
    assert "torch.nn.Container" not in out
    assert len(out.splitlines()) < 60


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (
            ("fit", "--model.help=ToyModel"),
            "--model.help: no class that this option takes is called ToyModel: give its import path, "
            "package.module.Class",
        ),
        (
            (*TOY, "--data.task.help=grokking_pl.tasks.from_operation"),
            "--task.help: grokking_pl.tasks.from_operation is a function: its help is printed by python -m pydoc "
            "grokking_pl.tasks.from_operation",
        ),
    ],
)
def test_what_has_no_help(grok, options, wanted):
    status, out, err = grok(*options)
    assert (status, out, err) == (2, "", f"grok: error: {wanted}\n")
