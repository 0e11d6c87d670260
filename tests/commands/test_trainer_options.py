"""Every option of Lightning's Trainer has its effect with this project's data, or is refused on one line."""

import inspect
from pathlib import Path

import lightning.pytorch as pl
import pandas as pd
import pytest
import torch

from grokking_pl.callbacks import Reporting
from grokking_pl.runs import RunFolder
from tests.conftest import ROOT
from tests.sampling import sampled

TOY = [
    "--config", str(ROOT / "configs/toy_2d_addition.yaml"), "--model.architecture.width=8", "--data.steps_per_epoch=4",
    "--trainer.enable_progress_bar=false",
]  # fmt: skip


def steps(folder: Path) -> int:
    return torch.load(RunFolder(folder).checkpoint)["global_step"]


def logged(folder: Path) -> list[int]:
    return pd.read_csv(folder / "metrics.csv").dropna(subset="loss").step.tolist()


def nothing(folder: Path) -> None:
    """That the command ends well is all that shows."""


def dtype(folder: Path) -> torch.dtype:
    return torch.load(RunFolder(folder).checkpoint)["state_dict"]["network.embeddings"].dtype


def epochs(folder: Path) -> int:
    return torch.load(RunFolder(folder).checkpoint)["epoch"]


def deterministic(folder: Path) -> bool:
    is_so = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)  # Lightning leaves them on
    return is_so


def has_figures(folder: Path) -> bool:
    return (folder / "curves.png").exists()


class Validations(pl.Callback, Reporting):
    """Writes down when Lightning's validation takes place."""

    def on_validation_start(self, trainer, pl_module):
        with open(Path(trainer.default_root_dir) / "validations.txt", "a") as file:
            print(trainer.global_step, file=file)


def validations(folder: Path) -> list[int]:
    path = folder / "validations.txt"
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


def has_moved(folder: Path) -> bool:
    """Whether the optimizer's first moments are more than the smallest clipped gradients make."""
    moments = torch.load(RunFolder(folder).checkpoint)["optimizer_states"][0]["state"].values()
    return any(bool((state["exp_avg"].abs() > 1e-8).any()) for state in moments)


def loggers(folder: Path) -> list[str]:
    return [name for name in ("tensorboard", "metrics.csv") if (folder / name).exists()]


HONOURED = {  # option and value, what shows its effect, and the effect
    "accelerator=cpu": (nothing, None),
    "strategy=auto": (nothing, None),
    "devices=1": (nothing, None),
    "num_nodes=1": (nothing, None),
    "precision=64-true": (dtype, torch.float64),
    "logger=false": (loggers, []),
    "logger=true": (loggers, ["tensorboard", "metrics.csv"]),
    "callbacks=[]": (has_figures, False),
    "fast_dev_run=2": (loggers, []),
    "max_epochs=2": (steps, 8),
    "min_epochs=1": (steps, 10),
    "max_steps=3": (steps, 3),
    "min_steps=4": (steps, 10),
    "max_time=00:01:00:00": (steps, 10),
    "limit_train_batches=2": (epochs, 4),
    "limit_train_batches=0.5": (epochs, 4),
    "limit_val_batches=0": (validations, []),
    "limit_val_batches=1": (validations, [4, 8]),
    "limit_test_batches=1": (nothing, None),  # of other commands, and below
    "limit_predict_batches=1": (nothing, None),
    "val_check_interval=2": (validations, [2, 4, 6, 8, 10]),
    "val_check_interval=0.5": (validations, [2, 4, 6, 8, 10]),
    "val_check_interval=3 --trainer.check_val_every_n_epoch=null": (validations, [3, 6, 9]),
    "check_val_every_n_epoch=2": (validations, [8]),
    "num_sanity_val_steps=1": (validations, [0, 4, 8]),
    "log_every_n_steps=3": (logged, [3, 6, 9]),
    "enable_checkpointing=false": (lambda folder: RunFolder(folder).checkpoint.exists(), False),
    "enable_progress_bar=true": (nothing, None),
    "enable_model_summary=true": (nothing, None),
    "accumulate_grad_batches=2": (epochs, 4),
    "gradient_clip_val=1e-9": (has_moved, False),
    "gradient_clip_val=1e-9 --trainer.gradient_clip_algorithm=value": (has_moved, False),
    "deterministic=true": (deterministic, True),
    "benchmark=false": (nothing, None),
    "inference_mode=false": (nothing, None),
    "use_distributed_sampler=true": (nothing, None),
    "profiler=simple": (nothing, None),
    "detect_anomaly=true": (nothing, None),
    "plugins=[]": (nothing, None),
    "sync_batchnorm=true": (nothing, None),
    "overfit_batches=0": (steps, 10),
    "reload_dataloaders_every_n_epochs=0": (steps, 10),
    "enable_autolog_hparams=false": (lambda folder: (folder / "hyperparameters.csv").exists(), False),
}
REFUSED = {  # option and value, and a word of the reason
    "overfit_batches=2": "endless stream",
    "overfit_batches=0.5": "endless stream",
    "reload_dataloaders_every_n_epochs=1": "restart the stream of batches",
    "limit_train_batches=0": "trains nothing",
    "limit_train_batches=0.0": "trains nothing",
    "gradient_clip_algorithm=norm": "give --trainer.gradient_clip_val",
    "model_registry=somewhere": "uploads",
    "barebones=true": "omit it",
    "default_root_dir=elsewhere": "--run_dir",
    "strategy=fsdp": "use ddp",
    "strategy=ddp_spawn": "use ddp",
    "strategy=ddp_notebook": "use ddp",
    'strategy={"class_path": "DDPStrategy", "init_args": {"start_method": "fork"}}': "use ddp",
}


def test_every_option_is_judged():
    options = {option.partition("=")[0] for option in (*HONOURED, *REFUSED)}
    assert options == set(inspect.signature(pl.Trainer.__init__).parameters) - {"self"}


@pytest.mark.parametrize("option", sampled(HONOURED, 4))
def test_an_option_that_is_honoured(grok, tmp_path, option):
    given = [] if option.startswith("max_epochs") else ["--trainer.max_steps=10"]
    log = [] if option.startswith("log_") else ["--trainer.log_every_n_steps=5"]
    show, effect = HONOURED[option]
    watch = [] if option == "callbacks=[]" else [f"--trainer.callbacks+={__name__}.Validations"]
    words = f"--trainer.{option}".split()
    status, _, err = grok("fit", *TOY, *watch, *given, *log, "--run_dir", tmp_path, *words)
    assert status == 0, err
    assert show(tmp_path) == effect


@pytest.mark.parametrize("option", REFUSED)
def test_an_option_that_is_refused(grok, tmp_path, option):
    status, out, err = grok("fit", *TOY, "--run_dir", tmp_path / "run", f"--trainer.{option}")
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("grok: error: ")
    assert REFUSED[option] in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_a_command_that_would_measure_nothing_is_refused(grok, tmp_path, command):
    limit = {"validate": "val"}.get(command, command)
    status, out, err = grok(command, *TOY, "--run_dir", tmp_path, f"--trainer.limit_{limit}_batches=0")
    assert (status, out) == (2, "")
    assert f"leaves grok {command} nothing to measure" in err


@pytest.mark.parametrize(
    "option", ["overfit_batches=2", "reload_dataloaders_every_n_epochs=1", "limit_train_batches=2"]
)
def test_other_data_have_lightnings_meaning(grok, tmp_path, option):
    status, _, err = grok(
        "fit", f"--model={__name__}.Counting", f"--data={__name__}.Points", "--trainer.max_epochs=3",
        f"--trainer.{option}", "--run_dir", tmp_path, "--trainer.enable_progress_bar=false",
    )  # fmt: skip
    assert status == 0, err
    batches = Counting.batches
    assert (
        batches
        == {
            "overfit_batches=2": 3 * [0, 1],
            "reload_dataloaders_every_n_epochs=1": 3 * [0, 1, 2, 3],
            "limit_train_batches=2": 3 * [0, 1],
        }[option]
    )
    assert Points.made == (3 if "reload" in option else 1)


class Counting(pl.LightningModule):
    """Notes which batches it gets."""

    batches: list = []  # noqa: RUF012 (read by the test)

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        type(self).batches = []

    def training_step(self, batch, batch_idx):
        self.batches.append(int(batch[0, 0]))
        return self.layer(batch).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.001)


class Points(pl.LightningDataModule):
    """Four batches, and a count of its loaders."""

    made = 0

    def __init__(self):
        super().__init__()
        type(self).made = 0

    def train_dataloader(self):
        type(self).made += 1
        return torch.utils.data.DataLoader(torch.arange(4.0)[:, None], batch_size=1)
