"""The scripts that draw the paper's figures: what they leave, and that nothing is trained twice."""

import importlib
import importlib.metadata
import os
import runpy
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tests.conftest import ROOT

FIGURES = [*(f"figure{n}" for n in range(1, 9)), "appendix_lottery_ticket"]


@pytest.fixture
def draw(tmp_path, monkeypatch):
    """Draw a figure's quick version with few steps, and return the folder of what it leaves."""

    def run(figure, *options):
        script = str(ROOT / f"scripts/{figure}.py")
        monkeypatch.syspath_prepend(ROOT / "scripts")
        importlib.import_module("figure_run").RESULTS = tmp_path / "kept"
        monkeypatch.setattr(
            sys, "argv", [script, "--quick", "--folder", str(tmp_path), "--steps=20", "--keep", *options]
        )
        runpy.run_path(script, run_name="__main__")
        return tmp_path / figure

    return run


def times(folder):
    return {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*") if path.is_file()}


def check_files(place, figure, *tables):
    assert (place / f"{figure}.png").read_bytes().startswith(b"\x89PNG")
    assert "</svg>" in (place / f"{figure}.svg").read_text()
    assert (place / "caption.md").read_text().strip()
    assert {path.stem for path in place.glob("*.csv")} == set(tables)


def test_figure_of_a_run(draw, tmp_path):
    place = draw("figure1")
    check_files(place, "figure1", "a", "b", "c", "accuracies")
    kept = {path.name for path in (tmp_path / "kept/figure1").iterdir()}
    assert kept == {"figure1.png", "caption.md", "a.csv", "b.csv", "c.csv", "accuracies.csv"}
    made = (tmp_path / "kept/figure1/caption.md").read_text().splitlines()[-1]
    assert made.startswith("Made by `python scripts/figure1.py --quick --steps=20` on ")
    assert "--keep" not in made
    assert f"torch {importlib.metadata.version('torch')}" in made
    assert "TRIAL OF 20 STEPS" in (place / "caption.md").read_text()
    with np.load(tmp_path / "runs/transformer_modular_addition_small_20_steps/embeddings.npz") as file:
        last = file["embeddings"][-1]
    drawn = pd.read_csv(place / "c.csv")
    assert drawn.step.unique().tolist() == [20]
    # Projected on axes of their own, the points keep their two largest singular values.
    singular = np.linalg.svd(last - last.mean(0), compute_uv=False)[:2]
    assert np.allclose(np.linalg.svd(drawn[["component_1", "component_2"]], compute_uv=False), singular, rtol=1e-4)

    before = times(tmp_path)
    (place / "figure1.png").unlink()
    draw("figure1")
    assert times(tmp_path) == before
    check_files(place, "figure1", "a", "b", "c", "accuracies")

    record = tmp_path / "runs/transformer_modular_addition_small_20_steps.json"
    record.write_text(record.read_text().replace('"seed_everything": 1', '"seed_everything": 7'))
    before = times(tmp_path)
    with pytest.raises(SystemExit, match="was made with other settings than those of transformer_modular_addition_sm"):
        draw("figure1")
    assert times(tmp_path) == before


@pytest.mark.slow
def test_figure_of_a_diagram(draw, tmp_path):
    place = draw("figure3")
    check_files(place, "figure3", "runs")
    drawn = pd.read_csv(place / "runs.csv")
    runs = pd.read_csv(tmp_path / "runs/figure3_small_20_steps/runs.csv")
    assert drawn.train_count.tolist() == runs["data.train_count"].tolist()
    assert drawn.predicted_accuracy.tolist() == runs.predicted_accuracy.tolist()
    correct = runs["data.train_count"] * runs.train_accuracy + (55 - runs["data.train_count"]) * runs.val_accuracy
    assert np.allclose(drawn.accuracy, correct / 55)
    # The published run of seed 0 and 40 samples found the structure at its step 867, counted from 0.
    assert drawn.set_index("train_count").published_steps_to_rqi[40] == 868

    before = times(tmp_path)
    draw("figure3")
    assert times(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "made"), [([], ("a", "b")), (["--panels", "b"], ("b",)), (["--panels", "b", "a"], ("a", "b"))]
)
def test_all_panels_are_made_unless_some_are_asked_for(monkeypatch, tmp_path, options, made):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    monkeypatch.setattr(sys, "argv", ["figure6.py", "--folder", str(tmp_path), *options])
    make, drawn = importlib.import_module("figure_run").make, []
    make(drawn.append, "about", panels=("a", "b"))
    assert [run.panels for run in drawn] == [made]
    monkeypatch.setattr(sys, "argv", ["figure1.py", "--folder", str(tmp_path)])
    make(drawn.append, "about")
    assert drawn[-1].panels == ()


@pytest.mark.slow
def test_panels_made_one_by_one_are_kept_as_one_figure(draw, tmp_path):
    kept = tmp_path / "kept/figure6"
    draw("figure6", "--panels", "b")
    check_kept(kept, "b", "b_published")
    draw("figure6", "--panels", "d", "c")
    check_kept(kept, "b", "b_published", "c", "d")
    caption, *made = (kept / "caption.md").read_text().split("\n\n")
    assert [part[:3] for part in caption.split("Cells: ")[1].split("; ")] == ["(b)", "(c)", "(d)"]
    assert [line.partition(". Made by")[0] for line in made] == ["Panel b", "Panels c, d"]
    check_files(tmp_path / "figure6", "figure6", "b", "b_published", "c", "d")

    record = kept / "made_by.json"
    record.write_text(record.read_text().replace("quick, 20 steps", "full"))
    before = times(tmp_path)
    with pytest.raises(SystemExit, match="has panels of the size full, not quick, 20 steps: move it away"):
        draw("figure6", "--panels", "b")
    assert times(tmp_path) == before


def check_kept(place, *tables):
    assert {path.stem for path in place.glob("*.csv")} == set(tables)
    assert (place / "figure6.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_all_quick_figures(tmp_path):
    """All of them, as `make figures` draws them, in under a quarter of an hour of two cores."""
    before = seconds_of_processes()
    for figure in FIGURES:
        command = [sys.executable, f"scripts/{figure}.py", "--quick", "--folder", str(tmp_path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        place = tmp_path / figure
        check_files(place, figure, *(path.stem for path in place.glob("*.csv")))
    assert seconds_of_processes() - before < 2 * 15 * 60


def seconds_of_processes():
    """What the processes started here have used of the cores, which other work on the machine does not change."""
    used = os.times()
    return used.children_user + used.children_system
