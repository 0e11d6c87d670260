"""What cannot be trained as a batch, or not so many members of it, is said on one line."""

import pytest
import torch

from grokking_pl.errors import UserError
from grokking_pl.population.failure import first_line, needing_memory, refusing
from tests.conftest import ROOT


def test_too_little_memory_asks_for_fewer_places(grok, tmp_path):
    status, _, err = grok(
        "diagram", "--config", ROOT / "configs/figures/figure6b_small.yaml", "--steps=20", "--workers=1",
        "--set={model.architecture: tests.population.architectures.TooLarge}", "--folder", tmp_path, "--places=3",
        "--axes={model.decoder.lr: [0.001, 0.0001, 0.01]}", "--device=cpu",
    )  # fmt: skip
    assert status == 2
    (line,) = [line for line in err.splitlines() if not line.startswith("diagram in ")]
    assert line.startswith("grok: error: out of memory with 3 members at a time")
    assert line.endswith("give fewer --places")


def out_of_memory_on_a_gpu():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation")


def out_of_memory_while_compiling():
    try:
        out_of_memory_on_a_gpu()
    except torch.OutOfMemoryError as error:
        raise RuntimeError("the backend failed") from error


@pytest.mark.parametrize("fail", [out_of_memory_on_a_gpu, out_of_memory_while_compiling])
def test_memory_is_never_taken_for_an_impossible_architecture(fail):
    with pytest.raises(UserError, match="out of memory with 7 members"), needing_memory(7), refusing("Net"):
        fail()


def test_other_errors_are_left_or_named():
    with pytest.raises(KeyError), needing_memory(7):
        {}["key"]
    with (
        pytest.raises(UserError, match="Net cannot be trained as a batch, only by grok fit: KeyError: 'key'"),
        refusing("Net"),
    ):
        {}["key"]
    with pytest.raises(UserError, match="mine") as caught, refusing("Net"):
        raise UserError("mine")
    assert str(caught.value) == "mine"


def test_the_first_line_goes_on_after_a_colon():
    assert first_line(RuntimeError("backend raised:\n  NoCompiler: none\nYou can")) == (
        "RuntimeError: backend raised: NoCompiler: none"
    )
    assert first_line(RuntimeError("one\ntwo")) == "RuntimeError: one"
    assert first_line(KeyError()) == "KeyError"
