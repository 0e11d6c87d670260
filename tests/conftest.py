import io
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import settings

from tests import process_state
from tests.shapes import check_shapes

check_shapes("grokking_pl")  # before anything of it is imported
# A shell has its background jobs ignore Ctrl-C, and so would all processes that are started here.
signal.signal(signal.SIGINT, signal.default_int_handler)

from grokking_pl.commands.main import main  # noqa: E402

pytest_plugins = ["pytester", "tests.browser"]

# A slow machine is no failure.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ROOT = Path(__file__).parent.parent
SMALL_MNIST = [
    "--config",
    str(ROOT / "configs/mnist_grok.yaml"),
    "--data.train_size=45",
    "--data.batch_size=10",
    "--model.architecture.width=8",
    "--trainer.max_steps=30",
    "--trainer.log_every_n_steps=10",
    "--trainer.callbacks.every_n_steps=10",
    "--trainer.enable_progress_bar=false",
]


@pytest.fixture
def small_mnist() -> list[str]:
    """Options that make the main job take a second: 45 images, width 8, 30 steps."""
    return list(SMALL_MNIST)


@pytest.fixture(scope="session", autouse=True)
def at_the_root():
    """Tests work in the repository, as the README's commands do, wherever pytest is started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        yield


@pytest.fixture(autouse=True)
def process_is_kept(tmp_path_factory):
    """Tests run in any order, so each leaves to the next the process that it was given.

    What a Trainer takes along at the end of its own process (signal handlers, its seed) is put back for it.
    """
    with process_state.kept(), process_state.put_back(tmp_path_factory.getbasetemp()):
        yield


@pytest.fixture(scope="session")
def grok(tmp_path_factory):
    """Run ``grok`` in this process, and undo what it changes there; return its status, output and errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        status = 0
        with process_state.put_back(tmp_path_factory.getbasetemp()), redirect_stdout(out), redirect_stderr(err):
            try:
                main([str(argument) for argument in arguments])
            except SystemExit as left:
                status = left.code if isinstance(left.code, int) else 1
        return status, out.getvalue(), err.getvalue()

    return run


@pytest.fixture
def grok_process():
    """Start ``grok`` as a process of its own, as a user does; killed at the end of the test if it still runs."""
    started: list[subprocess.Popen] = []

    def start(*arguments: object, cwd: Path = ROOT) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-m", "grokking_pl", *map(str, arguments)],
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
