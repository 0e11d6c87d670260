"""The start of a run: what is refused before anything is written, and what is said before the first step."""

import pytest

TOY = [
    "fit", "--config", "configs/toy_classification.yaml", "--trainer.enable_progress_bar=false",
    "--trainer.max_steps=1", "--trainer.callbacks=PhaseTracker",
]  # fmt: skip
ONE_HOT = "--model.architecture=OneHotMLP"
EITHER_ORDER = (
    "--data.task=grokking_pl.tasks.from_operation", "--data.task.operation=tests.commands.test_start.product_plus",
    "--data.task.p=11",
)  # fmt: skip


def product_plus(a, b):
    return (a * b + a) % 11


@pytest.mark.parametrize(
    "callback",
    ["RepresentationQuality", "DecoderQuality", "EffectiveDimension", "EmbeddingSnapshots", "EmbeddingCircle",
     "LotteryTicket", "DecisionMap", "TruncatedAccuracy", "IrrepSpectrum", "FourierSpectrum", "EffectiveTheory"],
)  # fmt: skip
def test_unsuitable_network_is_refused_before_anything_is_written(grok, tmp_path, callback):
    status, out, err = grok(*TOY, ONE_HOT, f"--trainer.callbacks+={callback}", "--run_dir", tmp_path / "run")
    assert status == 2
    (line,) = err.splitlines()
    assert line.startswith(f"grok: error: {callback}: OneHotMLP has no embeddings")
    assert out == ""
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("callback", "wanted"),
    [("ClassSeparation", "encode"), ("CorruptedAccuracy", "corrupted labels"), ("FourierProgress", "modulo p")],
)
def test_unsuitable_data_are_refused_before_anything_is_written(grok, tmp_path, callback, wanted):
    (tmp_path / "run").mkdir()
    status, _, err = grok(*TOY, f"--trainer.callbacks+={callback}", "--run_dir", tmp_path / "run")
    assert status == 2
    assert wanted in err
    assert {path.name for path in (tmp_path / "run").iterdir()} == {".lock", "tensorboard"}


@pytest.mark.parametrize(
    ("architecture", "notes"),
    [
        ("ToyModel", ["note: product_plus does not commute, and ToyModel adds the embeddings, so it cannot tell (a, b) "
                      "from (b, a)"]),
        ("OneHotMLP", []),
        ("tests.population.architectures.Separate", []),
    ],
)  # fmt: skip
def test_note_on_an_operation_that_the_network_cannot_represent(grok, tmp_path, architecture, notes):
    words = (*EITHER_ORDER, f"--model.architecture={architecture}", "--run_dir", tmp_path / "run")
    status, _, err = grok(*TOY, *words)
    assert status == 0, err
    first, *others = err.splitlines()
    assert first.startswith("run folder ")
    assert first.endswith("seed 1, 45 training and 76 validation samples")
    assert others == notes


def test_no_note_on_an_operation_that_commutes(grok, tmp_path):
    status, _, err = grok(*TOY, "--run_dir", tmp_path / "run")
    assert status == 0, err
    assert "note:" not in err
