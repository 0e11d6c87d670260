"""What is installed from a built package."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Left out of the copy that is built: they are large, or would be mistaken for sources.
NOT_SOURCES = {".git", ".venv", "build", "runs", "dist", "tests", "docs", "configs", "scripts"}


def test_wheel_holds_every_module_and_the_data(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for path in ROOT.iterdir():
        if path.name not in NOT_SOURCES and not path.name.endswith(".egg-info"):
            (source / path.name).symlink_to(path)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*command, "--wheel-dir", tmp_path, source], check=True, capture_output=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "grokking_pl").rglob("*.py")}
    modules |= {f"grokking_pl/{path.relative_to(ROOT)}" for path in (ROOT / "callbacks").glob("*.py")}
    data = {str(path.relative_to(ROOT)) for path in (ROOT / "grokking_pl/data/mnist").iterdir()}
    assert len(data) == 5
    data |= {str(path.relative_to(ROOT)) for path in (ROOT / "grokking_pl/report/assets").iterdir()}
    assert modules | data | {"grokking_pl/py.typed"} <= names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"grokking_pl"}
