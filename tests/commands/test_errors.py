"""Every mistake gets one line that says what is wrong, and leaves nothing behind that blocks the next attempt."""

import gzip
import json

import lightning.pytorch as pl
import pytest
import torch

from grokking_pl.data import mnist


@pytest.fixture
def fails(grok, small_mnist, tmp_path):
    def run(*options: object, run_dir: object = tmp_path / "run") -> str:
        status, _, err = grok("fit", *small_mnist, "--run_dir", run_dir, *options)
        assert status == 2
        lines = [line for line in err.splitlines() if not line.startswith("run folder")]
        assert len(lines) == 1
        assert lines[0].startswith("grok: error: ")
        return lines[0]

    return run


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        (
            "--model.architecture.widht=3",
            "no option model.architecture.widht: did you mean --model.architecture.width?",
        ),
        ("--trainer.max_step=3", "did you mean --trainer.max_steps?"),
        ("--sed_everything=3", "did you mean --seed_everything?"),
        ("--weight_decay=3", "did you mean --model.embeddings.weight_decay or --model.decoder.weight_decay?"),
        ("--model.decoder.weight_decy=3", "did you mean --model.decoder.weight_decay?"),
        ("--trainer.callbacks.PhaseTracker.dely=3", "did you mean --trainer.callbacks.PhaseTracker.delay?"),
        ("--trainer.callbacks.PhaseTracer.delay=3", "has no callback PhaseTracer: did you mean PhaseTracker?"),
        ("--trainer.callbacks.GradientFilter.lamb=3", "add it with --trainer.callbacks+=GradientFilter"),
        (
            "--trainer.callbacks.PhaseTracker.delay=soon",
            "error: trainer.callbacks.PhaseTracker.delay is soon",
        ),
        ("--data.trainsize=3", "did you mean --data.train_size?"),
        ("--trainer.max_steps=many", "error: trainer.max_steps is many; expected int"),
        ("--model.architecture.alpha=big", "error: model.architecture.alpha is big; expected float"),
        ("--config=configs/no_such_file.yaml", "no_such_file.yaml"),
        ("--config=configs/mnist_gork.yaml", "configs/mnist_grok.yaml?"),
        ("--model=grokking_pl.training.NoSuchModule", "NoSuchModule"),
        ("--model.architecture=grokking_pl.models.NoSuchNet", "NoSuchNet"),
        ("--data.train_size=0", "train_size is 0"),
        ("--data.train_size=-5", "train_size is -5"),
        ("--data.train_size=1000000", "only 5000 training images"),
        ("--data.batch_size=0", "batch_size is 0"),
        ("--model.architecture.alpha=0", "alpha is 0"),
        ("--model.architecture.alpha=-8", "alpha is -8"),
        ("--model.architecture.depth=0", "depth is 0"),
        ("--model.architecture.decoder_layers=9", "decoder_layers is 9"),
        ("--model.decoder.lr=-1", "lr is -1"),
        ("--model.loss=cross_entropy", "targets are vectors"),
        ("--run_dir=/dev/null/run", "/dev/null/run"),
        ("--ckpt_path=no/such.ckpt", "no/such.ckpt does not exist"),
        ("--ckpt_path=last", "does not exist"),
        ("--ckpt_path=pyproject.toml", "not a checkpoint"),
        ("--trainer.callbacks.delay=-1", "delay is -1"),
        ("--trainer.callbacks.val_threshold=1.5", "val_threshold is 1.5"),
    ],
)
def test_wrong_option(fails, option, wanted):
    assert wanted in fails(option)


def test_unknown_command(grok):
    status, _, err = grok("fti")
    assert (status, err) == (2, "grok: error: there is no command 'fti': did you mean 'fit'?\n")


def test_no_configuration(grok):
    status, _, err = grok("fit")
    assert (status, len(err.splitlines())) == (2, 1)
    assert "give a configuration with --config" in err


def test_broken_config_file(fails, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text("trainer: [1,\n max_steps")
    assert f"{broken} is not valid YAML, line 2, column 11: " in fails("--config", broken)


def test_checkpoint_of_another_architecture(grok, small_mnist, tmp_path):
    options = [*small_mnist, "--run_dir", tmp_path / "run"]
    assert grok("fit", *options)[0] == 0
    status, _, err = grok("validate", *options, "--model.architecture.width=9")
    assert status == 2
    assert "another architecture" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"", "corrupt"),
        (b"not gzip at all", "corrupt"),
        (gzip.compress(b"\1\2\3\4" + bytes(100)), "not an IDX file"),
        (gzip.compress(b"\0\0\x08\3\0\0\0\5\0\0\0\x1c\0\0\0\x1c" + bytes(100)), "declares 5x28x28"),
        (gzip.compress(b"\0\0\x08\1\0\0\0\5" + bytes(5))[:-6], "corrupt"),
    ],
    ids=["empty", "not gzip", "not IDX", "too short", "cut"],  # a compressed file holds the time
)
def test_bad_idx_file(fails, monkeypatch, tmp_path, content, wanted):
    for name in mnist.BUNDLED_TRAIN + mnist.BUNDLED_TEST:
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(mnist, "BUNDLED", tmp_path)
    message = fails()
    assert wanted in message
    assert "train-images" in message


def test_missing_idx_file(fails, monkeypatch, tmp_path):
    monkeypatch.setattr(mnist, "BUNDLED", tmp_path / "nowhere")
    assert "does not exist" in fails()


def test_full_mnist_that_is_not_there(fails, tmp_path):
    assert "set download to true" in fails("--data.data_dir", tmp_path)


def test_loss_that_is_no_number_keeps_the_last_good_checkpoint(fails, tmp_path):
    run_dir = tmp_path / "run"
    message = fails(
        "--trainer.callbacks+=grokking_pl.callbacks.RunCheckpoint",
        "--trainer.callbacks.every_n_steps=5",
        "--trainer.callbacks+=tests.commands.test_errors.PoisonWeights",
        run_dir=run_dir,
    )
    assert "the loss is nan at step 18" in message
    assert torch.load(run_dir / "checkpoints/last.ckpt")["global_step"] == 15
    assert json.loads((run_dir / "summary.json").read_text())["status"] == "failed"


class PoisonWeights(pl.Callback):
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == 17:
            with torch.no_grad():
                next(pl_module.parameters()).fill_(float("nan"))


def test_folder_of_a_failed_start_can_be_used_again(fails, grok, small_mnist, tmp_path):
    fails("--data.train_size=1000000")
    assert grok("fit", *small_mnist, "--run_dir", tmp_path / "run")[0] == 0


def test_second_run_into_the_same_folder(fails, grok, small_mnist, tmp_path):
    assert grok("fit", *small_mnist, "--run_dir", tmp_path / "run")[0] == 0
    before = (tmp_path / "run/metrics.csv").read_bytes()
    assert "holds a finished run" in fails()
    assert (tmp_path / "run/metrics.csv").read_bytes() == before
