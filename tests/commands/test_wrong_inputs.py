"""Wrong inputs, each a line of a table: the answer is one line, and nothing is trained."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import lightning.pytorch as pl
import pytest

from grokking_pl.commands.failure import ctrl_c_is_heard
from grokking_pl.runs.error_log import kept_traceback
from grokking_pl.runs.job import RANKS
from tests.conftest import ROOT
from tests.sampling import sampled

TOY = [
    "--config", str(ROOT / "configs/toy_addition.yaml"), "--model.architecture.width=8", "--trainer.max_steps=20",
    "--trainer.log_every_n_steps=10", "--trainer.logger=[]", "--trainer.enable_progress_bar=false",
    "--trainer.callbacks=PhaseTracker",
]  # fmt: skip


@pytest.fixture
def refused(grok, tmp_path):
    """Run a command that is to be refused; return its line."""

    def run(*words: object, nothing_trained: bool = True) -> str:
        status, out, err = grok(*words)
        lines = [line for line in err.splitlines() if not line.startswith("run folder")]
        assert status == 2, err
        assert len(lines) == 1, err
        assert lines[0].startswith("grok: error: ")
        assert "Traceback" not in out + err
        if nothing_trained:
            assert not list(tmp_path.rglob("last.ckpt"))
        return lines[0].removeprefix("grok: error: ")

    return run


# Options of the command line.

OPTIONS = [
    # option, words of the answer
    ("--trainer.strategy=foo", "trainer.strategy foo: "),
    ("--trainer.accelerator=foo", "trainer.accelerator foo: "),
    ("--trainer.accelerator=mps", "trainer.accelerator is mps, but there is no such GPU here: choose cpu or auto"),
    ("--trainer.devices=abc", "trainer.devices abc: "),
    ("--trainer.devices=0", "trainer.devices 0: "),
    ("--trainer.devices=30000", "trainer.devices is 30000, each a process"),
    ("--trainer.num_nodes=0", "num_nodes is 0; it must be at least 1"),
    ("--trainer.precision=7", "trainer.precision is 7; expected 64, 32, 16, "),
    ("--seed_everything=-1", "seed_everything is -1; it must be between 0 and 4294967295"),
    ("--seed_everything=4294967296", "seed_everything is 4294967296"),
    ("--trainer.log_every_n_steps=0", "log_every_n_steps is 0; it must be at least 1"),
    ("--trainer.min_epochs=5 --trainer.max_epochs=2", "min_epochs is 5, which is more than trainer.max_epochs, 2"),
    ("--trainer.min_steps=5 --trainer.max_steps=2", "min_steps is 5, which is more than trainer.max_steps, 2"),
    ("--trainer.log_every_n_steps=-1", "log_every_n_steps is -1"),
    ("--trainer.callbacks+=EmbeddingNorm --trainer.callbacks.every_n_steps=0", "every_n_steps is 0"),
    ("--trainer.accumulate_grad_batches=0", "accumulate_grad_batches is 0"),
    ("--trainer.accumulate_grad_batches=-1", "accumulate_grad_batches is -1"),
    ("--trainer.check_val_every_n_epoch=0", "check_val_every_n_epoch is 0"),
    ("--trainer.val_check_interval=1500", "val_check_interval is 1500, but an epoch has 1000 steps"),
    ("--trainer.gradient_clip_val=-1", "gradient_clip_val is -1"),
    ("--trainer.gradient_clip_val=.nan", "gradient_clip_val is nan"),
    ("--trainer.max_steps=12345678901234567890123", "max_steps is 12345678901234567890123; it must be at most"),
    ("--trainer.max_steps=-2", "max_steps is -2"),
    ("--trainer.max_epochs=-7", "max_epochs is -7"),
    ("--trainer.max_time=soon", "trainer.max_time soon: "),
    ("--trainer.limit_val_batches=-1", "limit_val_batches is -1"),
    ("--trainer.limit_val_batches=0.5", "limit_val_batches is 0.5, less than one batch (1 in all): give"),
    ("--trainer.limit_train_batches=0.0001", "a fraction of at least 0.001"),
    (
        "--trainer.precision=bf16-mixed --trainer.gradient_clip_val=1",
        "fused kernel cannot clip in the precision bf16-mixed: give --model.fused false",
    ),
    ("--trainer.plugins=NoSuchPlugin", "NoSuchPlugin"),
    ("--trainer.profiler=foo", "trainer.profiler foo: "),
    (
        "--trainer.logger=NoSuchLogger",
        "trainer.logger is NoSuchLogger, but there is no class NoSuchLogger; expected Logger, ",
    ),
    ("--model.architecture.width=100000000", "not enough memory"),
    ("--model.architecture.width=1000000000000000000", "not enough memory"),
    ("--run_dir=", "--run_dir is empty"),
    ("--data=null", "no data to train on"),
    ("--data.task.p=-3", "p is -3"),
    ("--data.train_count=100", "train_count is 100, but there are only 55 samples"),
    ("--data.batch_size=many", "batch_size is many; expected int or null"),
    ("--data.task.p=1.5", "p is 1.5; expected int"),
    ("--model.architecture.depth=3.5", "depth is 3.5; expected int"),
    ("--model.architecture.combine=max", "combine is max; expected 'sum' or 'mean'"),
    ("--model.loss=foo", "loss is foo, but there is no class foo; expected Loss, 'mse' or 'cross_entropy'"),
    ("--model.loss=mes", "expected Loss, 'mse' or 'cross_entropy': did you mean mse?"),
    ("--model.loss=Stablemax", "expected Loss, 'mse' or 'cross_entropy': did you mean StableMax?"),
    ("--model.loss=torch.nn.HuberLoss", "loss is torch.nn.HuberLoss; expected Loss, 'mse' or 'cross_entropy'"),
    ("--model.loss=StableMax", "the loss StableMax needs class numbers, but the data's targets are vectors"),
    ("--model.loss.label_smoothing=0.1", "loss is mse, which has no option label_smoothing: first give a class"),
    ("--model.loss=CrossEntropy --model.loss.label_smoothing=2", "label_smoothing is 2.0; it must be at least 0"),
    ("--model.loss=CrossEntropy --model.loss.precision=8", "precision is 8; expected 16, 32, 64 or null"),
    ("--model.loss=CrossEntropy --model.loss.label_smothing=0", "did you mean --model.loss.label_smoothing?"),
    ("--model.output_scale=0", "output_scale is 0.0; it must be a number above 0"),
    (
        "--model.architecture=Foo",
        "architecture is Foo, but there is no such class: one of your own needs its module too",
    ),
    ("--model.architecture=torch.optim.SGD", "model.architecture is torch.optim.SGD; expected class of Module"),
    ("--data.task=from_operation", "there is no such task: did you mean grokking_pl.tasks.from_operation?"),
    ("--model.decoder=SignMomentum", "one of your own needs its module too, as in my_file.SignMomentum"),
    ("--trainer.callbacks+=tests.own_callbacks.Spred", "did you mean tests.own_callbacks.Spread?"),
    ("--data.batch_size=0", "batch_size is 0"),
    ("--data.steps_per_epoch=100000000000000000000", "steps_per_epoch is 100000000000000000000; it must be at most"),
    ("--trainer.max_time={'days':-1}", "max_time is {'days': -1}; its numbers must be at least 0"),
    ("--trainer.precision=transformer-engine", "this needs transformer_engine>=0.11.0, which is not installed"),
    ("--trainer.logger=CometLogger", "CometLogger needs comet-ml"),
    ("--model=no_module_of_this_name.Module", "No module named 'no_module_of_this_name': a class_path is"),
    (
        "--trainer.callbacks+=EarlyStopping --trainer.callbacks.monitor=val_los",
        "monitors val_los, which nothing logs: did you mean val_loss?",
    ),
    (
        "--trainer.callbacks+=ModelCheckpoint --trainer.callbacks.monitor=val_los",
        "monitors val_los, which nothing logs: did you mean val_loss?",
    ),
    ("--trainer.callbacks+=EarlyStopping", "monitor is missing: give it as an option"),
]


@pytest.mark.parametrize(("options", "wanted"), sampled(OPTIONS, 2), ids=[options for options, _ in OPTIONS])
def test_option(refused, tmp_path, monkeypatch, options, wanted):
    monkeypatch.chdir(tmp_path)
    assert wanted in refused("fit", *TOY, f"--run_dir={tmp_path}/run", *options.split(" "))
    assert {path.name for path in tmp_path.iterdir()} <= {"run"}


# Configuration files.

BOMB = b"a0: &a0 [1, 1]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (level, level, b", ".join([b"*a%d" % (level - 1)] * 9)) for level in range(1, 12)
)

CONFIGS = {
    # name: content of the file, words of the answer
    "not UTF-8": (b"# \xe9t\xe9\ntrainer: {max_steps: 3}\n", "is not UTF-8 text"),
    "binary": (bytes(range(256)) * 4, "is not UTF-8 text"),
    "control characters": (b"trainer: \x00\x01", "is not valid YAML: unacceptable character #x0000"),
    "a key twice": (b"trainer:\n  max_steps: 20\n  max_steps: 30\n", "has max_steps in line 2 and again in line 3"),
    "a section twice": (b"trainer: {}\nmodel: {}\ntrainer: {}\n", "has trainer in line 1 and again in line 3"),
    "a key twice in a line": (b"trainer: {max_steps: 2, max_steps: 3}\n", "has max_steps in line 1 and again in"),
    "unclosed": (b"trainer: [1", "is not valid YAML, line 1, column 12: "),
    "recursive anchor": (b"trainer: &a\n  callbacks: [*a]\n", "an anchor that contains itself"),
    "bomb": (BOMB, "values with its aliases expanded"),
    "deep": (b"[" * 5000 + b"]" * 5000, "nested too deeply"),
    "libyaml's": (b"trainer: {max_steps:, logger: false}", "is not valid YAML, line 1, column 20: "),
    "empty": (b"", "wrong.yaml is empty"),
    "only comments": (b"# none\n---\n", "wrong.yaml is empty"),
    "list": (b"[1, 2]", "has no sections"),
    "number": (b"3", "has no sections"),
    "unknown section": (b"trainr: {max_steps: 3}", "did you mean --trainer.max_steps?"),
    "trainer is a word": (b"trainer: fast", "trainer is fast; expected its options, each as name: value"),
    "callbacks is a number": (b"trainer: {callbacks: 7}", "callbacks is 7; expected list[Callback], Callback or null"),
    "callback is a number": (b"trainer: {callbacks: [7]}", "callbacks is [7]; expected list[Callback], Callback or"),
    "callback does not exist": (b"trainer: {callbacks: [{class_path: Foo}]}", "there is no class Foo; expected list["),
    "data is a list": (b"data: [1]", "data is [1]; expected LightningDataModule or null"),
    "class_path is a number": (b"model: {class_path: 3}", "model is {'class_path': 3}; expected LightningModule"),
    "init_args is a number": (
        b"model: {class_path: grokking_pl.training.GrokkingModule, init_args: 3}",
        "'init_args': 3}; expected LightningModule or null",
    ),
    "option of a callback": (
        b"trainer: {callbacks: [{class_path: PhaseTracker, init_args: {delay: soon}}]}",
        "trainer.callbacks.PhaseTracker.delay is soon; expected int",
    ),
    "name of a task": (
        b"data: {init_args: {task: {class_path: addition}}}",
        "data.task is addition, but there is no such task: did you mean grokking_pl.tasks.addition?",
    ),
    "decimal comma": (
        b"model: {init_args: {decoder: {lr: 1,3}}}",
        "model.decoder is {'lr': 1, 3: None}; expected names with values, but 3 stands where a name is expected",
    ),
    "decimal comma of a number": (b"trainer: {max_steps: 1,3}", "3 stands where a name is expected: a decimal number"),
    "empty run folder": (b"run_dir: ''", "run_dir in"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_configuration_file(refused, tmp_path, name):
    content, wanted = CONFIGS[name]
    path = tmp_path / "wrong.yaml"
    path.write_bytes(content)
    assert wanted in refused("fit", *TOY, "--config", path, f"--run_dir={tmp_path}/run")


def test_configuration_that_is_no_file(refused, tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "a pipe or a device, not a file" in refused("fit", "--config", tmp_path / "pipe.yaml")
    assert "is a folder" in refused("fit", f"--config={tmp_path}")
    for command, option in (("diagram", "--config"), ("theory", "--config")):
        assert "a pipe or a device, not a file" in refused(command, option, tmp_path / "pipe.yaml")


@pytest.mark.parametrize(
    "words",
    [
        ("fit", *TOY, "--trainer.num_nodes=2"),
        ("diagram", *TOY[:1], str(ROOT / "configs/figures/figure6a_small.yaml"), "--num_nodes=2"),
    ],
    ids=["fit", "diagram"],
)
def test_several_nodes_without_a_launcher(refused, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    for name in (*RANKS, "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    assert "num_nodes is 2, but no launcher started this process" in refused(*words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("folder", "wanted"),
    [("a" * 300, "File name too long"), ("file/run", "file"), ("file", "file")],
    ids=["too long", "in a file", "is a file"],
)
def test_run_folder(refused, tmp_path, folder, wanted):
    (tmp_path / "file").touch()
    assert wanted in refused("fit", *TOY, f"--run_dir={tmp_path}/{folder}")


def test_run_folder_with_markup_in_its_name(grok, tmp_path):
    status, out, err = grok("fit", *TOY, f"--run_dir={tmp_path}/r[/b][red]")
    assert (status, len(err.splitlines())) == (0, 1), err
    assert "r[/b][red]" in out.replace("\n", "")


# What a program prints to.


@pytest.mark.parametrize(
    "words", [("fit", *TOY, "--print_config"), ("completion", "bash"), ("--help",), ("fit", "--help")]
)
def test_output_that_takes_nothing(words):
    command = [sys.executable, "-m", "grokking_pl", *words]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("grok: error: ")
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_output_that_is_closed():
    script = 'exec >&-; exec "$@"'
    command = ["sh", "-c", script, "sh", sys.executable, "-m", "grokking_pl", "completion", "bash"]
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
    assert len(done.stderr.splitlines()) <= 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("swallowed_by", ["silence", "another error"])
def test_ctrl_c_that_a_library_swallows(swallowed_by):
    def load_library():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            if swallowed_by == "another error":
                raise ImportError("on purpose") from None

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), ctrl_c_is_heard():
        load_library()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("seconds", [1.0, 3.0])
def test_ctrl_c_in_the_first_seconds(grok_process, tmp_path, seconds):
    process = grok_process("fit", *TOY, "--trainer.max_steps=1000000", f"--run_dir={tmp_path}/run")
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    lines = [line for line in err.splitlines() if not line.startswith("run folder")]
    assert process.returncode in (130, -signal.SIGINT)  # shells call both 130
    assert len(lines) == 1
    assert "stopped" in lines[0]


# Callbacks of a user's own, and several processes.


class Broken(pl.Callback):
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == 3:
            raise KeyError("of a\nuser's own")


class Unmade(pl.Callback):
    def __init__(self, option: int = 1):
        raise RuntimeError("not made on purpose")


class LateMetric(pl.Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.log("late", float(batch_idx))


def test_metric_of_a_users_own_callback_can_be_monitored(grok, tmp_path):
    own, watched = f"--trainer.callbacks+={__name__}.LateMetric", "--trainer.callbacks+=ModelCheckpoint"
    words = ("fit", *TOY, f"--run_dir={tmp_path}/run", own, watched, "--trainer.callbacks.monitor=late")
    status, _, err = grok(*words, "--trainer.callbacks.every_n_train_steps=10")
    assert status == 0, err


def place_of(text: str) -> str:
    """A place in this file, as error lines name it."""
    number = 1 + next(i for i, line in enumerate(Path(__file__).read_text().splitlines()) if text in line)
    return f"{__file__}, line {number}"


def test_mistake_in_users_code(grok, tmp_path):
    words = ("fit", *TOY, f"--run_dir={tmp_path}/run")
    status, _, err = grok(*words, f"--trainer.callbacks+={__name__}.Broken")
    log = tmp_path / "run/error.log"
    place = place_of('raise KeyError("of a')
    assert status == 1
    assert err.splitlines()[1:] == [
        f'grok: error: KeyError in {place}: "of a\\nuser\'s own" (the traceback is in {log})'
    ]
    assert log.read_text().startswith("Traceback")
    status, _, err = grok(*words, f"--trainer.callbacks+={__name__}.Broken", "--debug")
    assert status == 1
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith(f"grok: error: KeyError in {place}: ")
    assert grok(*words)[0] == 0
    assert not log.exists()


def test_mistake_while_users_class_is_made_or_loaded(grok, refused, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "unreadable.py").write_text("def f(:\n")
    words = ("fit", *TOY, f"--run_dir={tmp_path}/run")
    status, _, err = grok(*words, f"--trainer.callbacks+={__name__}.Unmade")
    place = place_of("made on purpose")
    assert status == 1
    assert err.startswith(f"grok: error: RuntimeError in {place}: not made on purpose (")
    assert len(err.splitlines()) == 1
    assert "unreadable.py, line 1, is not valid Python: invalid syntax" in refused(*words, "--model=unreadable.Module")


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, "error.log"),
        ({"LOCAL_RANK": "0", "NODE_RANK": "0"}, "error.log"),
        ({"LOCAL_RANK": "2"}, "error_2.log"),
        ({"LOCAL_RANK": "2", "NODE_RANK": "1"}, "error_1_2.log"),
        ({"RANK": "10", "LOCAL_RANK": "0"}, "error_10.log"),
        ({"SLURM_PROCID": "0"}, "error.log"),
    ],
)
def test_each_process_keeps_its_own_traceback(tmp_path, monkeypatch, environment, name):
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(RuntimeError), kept_traceback(tmp_path):
        raise RuntimeError("on purpose")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with kept_traceback(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


# MNIST.

DOWNLOADED = {
    "empty": b"",
    "HTML": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "short": b"\0\0\x08\3\0\0\xea\x60\0\0\0\x1c\0\0\0\x1c" + bytes(100),
}


@pytest.mark.parametrize("name", DOWNLOADED)
def test_downloaded_mnist(refused, small_mnist, tmp_path, name):
    raw = tmp_path / "MNIST/raw"
    raw.mkdir(parents=True)
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{part}-ubyte").write_bytes(DOWNLOADED[name])
    line = refused("fit", *small_mnist, f"--data.data_dir={tmp_path}", f"--run_dir={tmp_path}/run")
    assert f"no full MNIST in {tmp_path}" in line


def test_film_without_ffmpeg(refused, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    options = ("--trainer.callbacks+=EmbeddingSnapshots", "--trainer.callbacks.animation=mp4")
    assert "needs ffmpeg" in refused("fit", *TOY, *options, f"--run_dir={tmp_path}/run")


# Other commands.

COMMANDS = [
    # words, words of the answer
    ("theory --config configs/theory_addition.yaml --trials 0", "trials is 0"),
    ("theory --config configs/theory_addition.yaml --trials many", "trials is many; expected int"),
    ("theory --config configs/theory_addition.yaml --trails 3", "did you mean --trials?"),
    ("theory --config configs/no.yaml", "there is no configuration "),
    ("theory --folder=", "--folder is empty"),
    ("theory", "task is missing"),
    ("report", "FOLDER"),
    ("report no/such/folder", "no/such/folder"),
    ("report /dev/null", "/dev/null"),
    ("report pyproject.toml", "pyproject.toml"),
    ("report configs", "configs"),
    ("report configs --output=", "--output is empty"),
    ("measure", "run"),
    ("measure no/such/folder --measures=WeightNorms", "no/such/folder does not exist"),
    ("measure configs --measures=WeightNorms", "configs contains no run"),
    ("measure configs --measure=WeightNorms", "did you mean --measures?"),
    ("completion", "give a shell"),
    ("completion fish-and-chips", "give a shell"),
    ("validate --config configs/toy_addition.yaml --ckpt_path pyproject.toml", "not a checkpoint"),
    ("validate --config configs/toy_addition.yaml --ckpt_path no.ckpt", "no.ckpt does not exist"),
    ("predict --config configs/toy_addition.yaml --ckpt_path configs", "configs"),
    ("validate --run_dir runs/none", "there is no model to train or to measure: give a configuration with --config"),
    ("fti", "did you mean 'fit'?"),
]


@pytest.mark.parametrize(("words", "wanted"), COMMANDS, ids=[words for words, _ in COMMANDS])
def test_command(refused, tmp_path, monkeypatch, words, wanted):
    monkeypatch.chdir(tmp_path)
    for name in ("configs", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    assert wanted in refused(*words.split(" "))


def test_debug_prints_the_traceback(grok):
    status, _, err = grok("report", "no/such/folder", "--debug")
    assert status == 2
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("grok: error: ")
