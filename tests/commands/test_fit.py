"""The command line as a user meets it: help, configuration, the run folder, and code of the user's own."""

import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
import yaml

from grokking_pl import __version__
from grokking_pl.callbacks import Reporting
from grokking_pl.commands.catalogue import COMMANDS
from grokking_pl.runs import RunFolder
from tests.conftest import ROOT
from tests.sampling import sampled


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(RunFolder(folder).checkpoint)["state_dict"]


def same_weights(first: Path, second: Path) -> bool:
    ours, theirs = weights(first), weights(second)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_help_lists_the_commands(grok, arguments):
    status, out, _ = grok(*arguments)
    assert status == 0
    for name, command in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(command.about)}$", out, re.MULTILINE)


def test_version(grok):
    assert grok("--version") == (0, f"grokking_pl {__version__}\n", "")


def test_the_package_is_a_program(grok_process):
    process = grok_process("--version")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, f"grokking_pl {__version__}\n", "")


@pytest.mark.parametrize("words", [("fit", "--help"), ("help", "fit")])
def test_help_of_fit_names_every_part(grok, words):
    status, out, err = grok(*words)
    assert status == 0, err
    for option in (
        "--config",
        "--run_dir",
        "--ckpt_path",
        "--trainer.max_steps",
        "--model",
        "--data",
        "--print_config",
    ):
        assert option in out


def test_printed_configuration_runs_to_the_same_weights(grok, small_mnist, tmp_path):
    assert grok("fit", *small_mnist, "--run_dir", tmp_path / "first")[0] == 0
    status, printed, _ = grok("fit", *small_mnist, "--print_config")
    assert status == 0
    config = yaml.safe_load(printed)
    assert config["data"]["init_args"]["train_size"] == 45
    assert config["model"]["init_args"]["decoder"]["betas"] == [0.9, 0.999]  # a default
    (tmp_path / "printed.yaml").write_text(printed)
    assert grok("fit", "--config", tmp_path / "printed.yaml", "--run_dir", tmp_path / "second")[0] == 0
    assert same_weights(tmp_path / "first", tmp_path / "second")


def test_saved_configuration_repeats_the_run(grok, small_mnist, tmp_path):
    assert grok("fit", *small_mnist, "--seed_everything=7", "--run_dir", tmp_path / "first")[0] == 0
    saved = tmp_path / "first/config.yaml"
    status, _, err = grok("fit", "--config", saved, "--run_dir", tmp_path / "second")
    assert status == 0, err
    assert same_weights(tmp_path / "first", tmp_path / "second")
    assert (tmp_path / "first/metrics.csv").read_bytes() == (tmp_path / "second/metrics.csv").read_bytes()


def test_another_seed_is_another_run(grok, small_mnist, tmp_path):
    for seed in (1, 2):
        assert grok("fit", *small_mnist, f"--seed_everything={seed}", "--run_dir", tmp_path / str(seed))[0] == 0
    assert not same_weights(tmp_path / "1", tmp_path / "2")


def test_run_folder(grok, small_mnist, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")  # so that no folder's name is broken
    status, out, err = grok("fit", *small_mnist, "--seed_everything=3", "--run_dir", tmp_path / "run")
    assert status == 0
    assert err.splitlines()[0] == f"run folder {tmp_path / 'run'}, seed 3, 45 training and 10000 validation samples"
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        ".lock",
        "checkpoints",
        "config.yaml",
        "curves.png",
        "hyperparameters.csv",
        "metrics.csv",
        "summary.json",
        "tensorboard",
    ]
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    with open(tmp_path / "run/metrics.csv", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    assert summary["status"] == "finished"
    assert summary["phase"] == "confusion"
    assert (summary["steps_to_train"], summary["steps_to_val"]) == (None, None)
    assert (summary["seed"], summary["steps"]) == (3, 30)
    assert (summary["train_samples"], summary["val_samples"]) == (45, 10000)
    assert summary["seconds"] > 0
    for name in ("train_accuracy", "val_accuracy", "train_loss", "val_loss"):
        assert summary[name] == float(last[name])
    assert (last["step"], last["phase_name"]) == ("30", "confusion")
    assert (tmp_path / "run/curves.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert yaml.safe_load((tmp_path / "run/config.yaml").read_text())["seed_everything"] == 3
    assert weights(tmp_path / "run")
    for line in ("phase .*confusion", "training accuracy >= 0.9 +not reached", r"folder .*run"):
        assert re.search(line, out)


def test_run_folder_is_named_after_the_configuration(grok, small_mnist, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert grok("fit", *small_mnist, "--trainer.max_steps=1")[0] == 0
    assert RunFolder(tmp_path / "runs/mnist_grok").summary.exists()


@pytest.fixture
def trained(grok, small_mnist, tmp_path):
    """Options that find a finished run again."""
    assert grok("fit", *small_mnist, "--run_dir", tmp_path / "run")[0] == 0
    return [*small_mnist, "--run_dir", tmp_path / "run", "--ckpt_path=last"]


def test_validate_test_and_predict_a_checkpoint(grok, trained, tmp_path):
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    before = {path: path.read_bytes() for path in (tmp_path / "run").glob("*.*")}
    for command, name in (("validate", "val"), ("test", "test")):
        status, out, err = grok(command, *trained)
        assert status == 0, err
        measured = {name: float(number) for name, number in re.findall(r"(\w+) +│ +([\d.]+) +│", out)}
        assert measured[f"{name}_accuracy"] == pytest.approx(summary["val_accuracy"])
        assert measured[f"{name}_loss"] == pytest.approx(summary["val_loss"], rel=1e-4)
        assert err == ""
    status, out, err = grok("predict", *trained)
    assert status == 0, err
    path = tmp_path / "run/predictions.csv"
    assert out == f"10000 predictions in {path}\n"
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["sample"]) for row in rows] == list(range(10_000))
    from grokking_pl.data import MNISTDataModule

    data = MNISTDataModule()
    data.setup()
    labels = data.val_set[1].argmax(1).tolist()
    right = sum(int(row["prediction"]) == label for row, label in zip(rows, labels, strict=True))
    assert right / 10_000 == pytest.approx(summary["val_accuracy"])
    assert {path: path.read_bytes() for path in before} == before


def test_output_that_is_no_terminal_is_sparse_lines(grok, small_mnist, tmp_path):
    status, _, err = grok("fit", *small_mnist, "--trainer.enable_progress_bar=true", "--run_dir", tmp_path / "run")
    assert status == 0
    assert "\r" not in err
    assert "\x1b" not in err
    lines = err.splitlines()
    assert len(lines) <= 3
    assert re.fullmatch(r"step 30/30 · loss [\d.e+-]+ · train [\d.]+ · val [\d.]+ · phase confusion", lines[-1])


@pytest.mark.parametrize("columns", sampled([140, 60], 2))
def test_terminal_shows_a_bar(small_mnist, tmp_path, columns):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [
            sys.executable, "-m", "grokking_pl", "fit", *small_mnist, "--trainer.enable_progress_bar=true",
            "--trainer.max_steps=300", "--run_dir", str(tmp_path / "run"),
        ],
        cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": str(columns)},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while True:
        try:
            chunk = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        shown += chunk
    os.close(ours)
    assert process.wait() == 0, shown.decode()
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    # On a narrow terminal the bar and the end of the status give way.
    wanted = (
        r"step 300/300 ━+ .*loss .*train .*val .*phase .*\d:\d\d:\d\d"
        if columns > 100
        else (r"step 300/300 loss [^\n━]*… \d:\d\d:\d\d")
    )
    assert re.search(wanted, text)
    assert shown.decode().count("\x1b[?25h") == shown.decode().count("\x1b[?25l") > 0  # the cursor is shown again


OWN = {
    "own_parts.py": """
        import torch
        from torch import nn
        import lightning.pytorch as pl
        from grokking_pl.callbacks import Reporting
        from grokking_pl.data import TensorDataModule
        from grokking_pl.sizes import Sizes

        class Shallow(nn.Module):
            def __init__(self, sizes, hidden: int = 6):
                super().__init__()
                self.first = nn.Linear(sizes.inputs, hidden)
                self.second = nn.Linear(hidden, sizes.outputs)

            def embedding_parameters(self):
                return self.first.parameters()

            def forward(self, inputs):
                return self.second(self.first(inputs).tanh())

        class WeightNorm(pl.Callback, Reporting):
            def on_train_end(self, trainer, pl_module):
                self.norm = float(sum(p.square().sum() for p in pl_module.network.parameters()) ** 0.5)

            def summary(self):
                return {"norm": self.norm}

        class Parity(TensorDataModule):
            def __init__(self, bits: int = 4):
                super().__init__(batch_size=None)
                self.bits = bits

            def load(self):
                numbers = torch.arange(2**self.bits)
                self.inputs = (numbers[:, None] >> torch.arange(self.bits) & 1).float()
                self.targets = self.inputs.sum(1).long() % 2
                self.num_train, self.class_targets = 12, None
                self.sizes = Sizes(inputs=self.bits, outputs=2)
    """,
    "own_everything.py": """
        import torch
        import lightning.pytorch as pl

        class Line(pl.LightningModule):
            def __init__(self, lr: float = 0.1):
                super().__init__()
                self.save_hyperparameters()
                self.layer = torch.nn.Linear(1, 1)

            def training_step(self, batch, batch_idx):
                return (self.layer(batch[0]) - batch[1]).square().mean()

            def configure_optimizers(self):
                return torch.optim.SGD(self.parameters(), self.hparams.lr)

        class Points(pl.LightningDataModule):
            def train_dataloader(self):
                x = torch.linspace(-1, 1, 64)[:, None]
                return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, 3 * x + 1), batch_size=16)
    """,
}


@pytest.fixture
def own_folder(tmp_path):
    """A user's working directory, outside the project."""
    for name, text in OWN.items():
        (tmp_path / name).write_text(textwrap.dedent(text))
    return tmp_path


def finish(process) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out + err


def test_own_architecture_callback_and_data(grok_process, own_folder):
    finish(
        grok_process(
            "fit", "--model=GrokkingModule", "--model.architecture=own_parts.Shallow", "--model.architecture.hidden=9",
            "--model.loss=cross_entropy", "--model.decoder.lr=0.05", "--data=own_parts.Parity",
            "--trainer.callbacks+=own_parts.WeightNorm", "--trainer.callbacks+=PhaseTracker", "--trainer.max_steps=100",
            "--run_dir=run", cwd=own_folder,
        )
    )  # fmt: skip
    summary = json.loads((own_folder / "run/summary.json").read_text())
    state = weights(own_folder / "run")
    assert state["network.first.weight"].shape == (9, 4)
    norm = sum(float(weight.square().sum()) for name, weight in state.items() if name.startswith("network")) ** 0.5
    assert summary["norm"] == pytest.approx(norm, rel=1e-5)
    assert summary["train_accuracy"] > 0.5


def test_own_lightning_module_and_data(grok, own_folder, monkeypatch):
    monkeypatch.chdir(own_folder)
    status, _, err = grok(
        "fit", "--model=own_everything.Line", "--model.lr=0.3", "--data=own_everything.Points",
        "--trainer.max_steps=200", "--trainer.enable_progress_bar=false", "--run_dir=run",
    )  # fmt: skip
    assert status == 0, err
    state = weights(own_folder / "run")
    assert float(state["layer.weight"]) == pytest.approx(3, abs=1e-3)
    assert float(state["layer.bias"]) == pytest.approx(1, abs=1e-3)
    summary = json.loads((own_folder / "run/summary.json").read_text())
    assert (summary["status"], summary["steps"]) == ("finished", 200)
    with open(own_folder / "run/hyperparameters.csv", newline="") as file:
        assert {row["name"]: row["value"] for row in csv.DictReader(file)}["model.lr"] == "0.3"


class Forgetful(pl.Callback, Reporting):
    def summary(self):
        return {"value": self.value}


def test_callback_without_its_summary_costs_no_other_its_own(grok, small_mnist, tmp_path):
    forgetful = f"--trainer.callbacks+={__name__}.Forgetful"
    status, _, err = grok("fit", *small_mnist, "--run_dir", tmp_path / "run", forgetful)
    assert status == 1
    assert f"AttributeError in {__file__}, line " in err
    assert "'Forgetful' object has no attribute 'value'" in err
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert (summary["status"], summary["steps"], summary["phase"]) == ("failed", 30, "confusion")
    assert weights(tmp_path / "run")


class Interrupting(Forgetful):
    def on_train_batch_end(self, trainer, *arguments):
        if trainer.global_step == 7:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("checkpoint", [True, False])
def test_an_interrupted_run_has_the_results_of_others_too(grok, small_mnist, tmp_path, checkpoint):
    words = ("--run_dir", tmp_path / "run", f"--trainer.callbacks+={__name__}.Interrupting")
    status, _, err = grok("fit", *small_mnist, *words, f"--trainer.enable_checkpointing={checkpoint}")
    assert status in (1, 130), err
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert (summary["status"], summary["steps"], summary["phase"]) == ("interrupted", 7, "confusion")


def test_a_default_that_is_an_enumeration_is_recorded(grok):
    status, printed, err = grok(
        "fit", "--config", ROOT / "configs/toy_addition.yaml", "--trainer.callbacks+=Timer", "--print_config"
    )
    assert status == 0, err
    timer = yaml.safe_load(printed)["trainer"]["callbacks"][-1]
    assert (timer["class_path"].rpartition(".")[2], timer["init_args"]["interval"]) == ("Timer", "step")
