"""What is installed from a built package."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Left out of the copy that is built: they are large, or would be mistaken for sources.
NOT_SOURCES = {".git", ".venv", "build", "runs", "dist", "tests", "docs", "scripts"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The package, built."""
    tmp_path = tmp_path_factory.mktemp("wheel")
    source = tmp_path / "source"
    source.mkdir()
    for path in ROOT.iterdir():
        if path.name not in NOT_SOURCES and not path.name.endswith(".egg-info"):
            (source / path.name).symlink_to(path)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*command, "--wheel-dir", tmp_path, source], check=True, capture_output=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    return wheel


def test_wheel_holds_every_module_and_the_data(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "grokking_pl").rglob("*.py")}
    modules |= {f"grokking_pl/{path.relative_to(ROOT)}" for path in (ROOT / "callbacks").glob("*.py")}
    data = {str(path.relative_to(ROOT)) for path in (ROOT / "grokking_pl/data/mnist").iterdir()}
    assert len(data) == 5
    data |= {str(path.relative_to(ROOT)) for path in (ROOT / "grokking_pl/report/assets").iterdir()}
    data |= {f"grokking_pl/{path.relative_to(ROOT)}" for path in (ROOT / "configs").rglob("*.yaml")}
    assert modules | data | {"grokking_pl/py.typed"} <= names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"grokking_pl"}


def test_wheel_alone_trains_what_it_brings(wheel, tmp_path):
    """In an empty folder, a bundled configuration by its name."""
    installed, work = tmp_path / "installed", tmp_path / "work"
    zipfile.ZipFile(wheel).extractall(installed)
    work.mkdir()

    def grok(*words: str) -> str:
        command = [sys.executable, "-m", "grokking_pl", *words]
        environment = {**os.environ, "PYTHONPATH": str(installed)}
        return subprocess.run(command, cwd=work, env=environment, check=True, capture_output=True, text=True).stdout

    assert str(installed) in grok("configs").splitlines()[-1]
    small = ("--data.train_size=20", "--model.architecture.width=4", "--trainer.callbacks.every_n_steps=1")
    grok("fit", "--config", "mnist_grok", *small, "--trainer.max_steps=1", "--trainer.enable_progress_bar=false")
    assert (work / "runs/mnist_grok/summary.json").exists()
