"""Every experiment in configs/ parses and runs."""

import json
import math
import re
from pathlib import Path

import pytest

from grokking_pl.commands.base_callbacks import interventions_among, read_contenders
from grokking_pl.commands.diagram import build_parser
from grokking_pl.experiments import read_grid
from grokking_pl.population.diagram import check_cells, find_base, read_base, settings_of
from tests.sampling import sampled

CONFIGS = Path(__file__).parent.parent / "configs"
DIAGRAMS = sorted(
    path
    for folder in ("diagrams", "figures", "papers")
    for path in (CONFIGS / folder).glob("*.yaml")
    if "axes:" in path.read_text().splitlines()
)
EXPERIMENTS = [
    *sorted(path for path in CONFIGS.glob("*.yaml") if not path.name.startswith("theory_")),
    *sorted({*(CONFIGS / "papers").glob("*.yaml")} - {*DIAGRAMS}),
]


@pytest.mark.parametrize("path", sampled(EXPERIMENTS, 2), ids=lambda path: path.stem)
def test_one_step(grok, tmp_path, path):
    smaller = ["--model.architecture.width=32"] if "models.Transformer" in path.read_text() else []
    status, _, err = grok(
        "fit", "--config", path, "--trainer.max_steps=1", "--trainer.enable_progress_bar=false", *smaller,
        "--run_dir", tmp_path / "run",
    )  # fmt: skip
    assert status == 0, err
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert (summary["status"], summary["steps"]) == ("finished", 1)
    assert 0 <= summary["val_accuracy"] <= 1


def test_every_experiment_says_what_it_is():
    assert len(EXPERIMENTS) > 5
    for path in EXPERIMENTS:
        assert path.read_text().startswith("# "), path


def test_main_job_is_that_of_the_paper(grok):
    """Section 4.3: 784-200-200-10, 1000 images, batches of 200, AdamW, mean squared error, initialisation times 8."""
    import yaml

    status, printed, _ = grok("fit", "--config", CONFIGS / "figures/figure8_left.yaml", "--print_config")
    assert status == 0
    config = yaml.safe_load(printed)
    model, data = config["model"]["init_args"], config["data"]["init_args"]
    assert model["architecture"]["init_args"] == {
        "depth": 3, "width": 200, "activation": "relu", "alpha": 8.0, "decoder_layers": 1, "bias": True,
        "last_activation": True,
    }  # fmt: skip
    assert (model["loss"], data["train_size"], data["batch_size"]) == ("mse", 1000, 200)
    for group in ("embeddings", "decoder"):
        options = model[group]
        assert (options["lr"], options["weight_decay"], options["decoupled"]) == (1e-3, 0.01, True)
    assert config["trainer"]["max_steps"] == 100_000


def test_power_is_that_of_the_published_program(grok):
    """Two layers of width 128 and four heads, AdamW with betas (0.9, 0.98), ten steps of warm-up, 10^5 steps."""
    import yaml

    operators = set()
    for path in CONFIGS.glob("papers/power_*.yaml"):
        status, printed, _ = grok("fit", "--config", path, "--print_config")
        assert status == 0
        config = yaml.safe_load(printed)
        model, data = config["model"]["init_args"], config["data"]["init_args"]
        network = model["architecture"]["init_args"]
        assert (network["layers"], network["width"], network["heads"], network["mlp_ratio"]) == (2, 128, 4, 4)
        assert (network["activation"], network["positions"], network["norm"]) == ("relu", "sinusoidal", "after")
        assert (network["context"], network["bias"], network["readout"]) == (50, "none", "last")
        for group in ("embeddings", "decoder"):
            options = model[group]
            assert (options["lr"], tuple(options["betas"]), options["weight_decay_kind"]) == (
                1e-3,
                (0.9, 0.98),
                "to_zero",
            )
        assert (model["warmup_steps"], data["batch_size"], data["train_percent"]) == (10, "auto", 50)
        assert config["trainer"]["max_steps"] == 100_000
        operators.add(data["operator"])
    assert len(operators) == 5


def test_nanda_is_that_of_the_published_notebook(grok):
    """Full batch of int(0.3 * 113²) pairs from Python's shuffle, 114 classes, ten steps of warm-up, decay 1."""
    import yaml

    status, printed, _ = grok("fit", "--config", CONFIGS / "nanda_modular_addition.yaml", "--print_config")
    assert status == 0
    config = yaml.safe_load(printed)
    model, data = config["model"]["init_args"], config["data"]["init_args"]
    assert (data["split"], data["train_fraction"], data["classes"]) == ("python_shuffle", 0.3, 114)
    assert (data["batch_size"], data["task"]["init_args"]["p"]) == (None, 113)
    assert (model["loss"], model["schedule"]["warmup_steps"], model["schedule"]["decay"]) == (
        "cross_entropy",
        10,
        "none",
    )
    for group in ("embeddings", "decoder"):
        options = model[group]
        assert (options["lr"], options["weight_decay"], tuple(options["betas"])) == (1e-3, 1.0, (0.9, 0.98))
        assert options["decoupled"]


OF_THE_PAPER = [path for path in DIAGRAMS if path.stem.startswith(("figure", "published_"))]
SMALL_DIAGRAMS = [path for path in DIAGRAMS if path.stem.endswith("_small")]


@pytest.mark.parametrize("path", sampled(DIAGRAMS, 4), ids=lambda path: path.stem)
def test_diagram_is_a_grid_of_runs(path):
    """Its axes exist, and their ends are settings that can be trained."""
    config = build_parser("diagram").parse_args(["--config", str(path)])
    base, seed = settings_of(read_base(find_base(config.base, [path])), config.set, interventions_among)
    contenders = read_contenders(config.contenders, base)
    grid = read_grid(config.axes, config.seeds or [seed], contenders)
    check_cells(grid, base, config.set)
    cells = math.prod(len(values) for values in grid.plane.values()) * max(1, len(contenders))
    assert len(grid) == len(grid.seeds) * cells > 1
    assert set(base) == {"model", "data"}
    assert path.read_text().startswith("# ")


PANELS = ("3", "4b", "6a", "6b", "6c", "6d", "7_left_seeds", "7_centre", "7_right", "8_right")


def test_every_diagram_of_the_paper_has_a_small_one():
    names = {path.stem for path in OF_THE_PAPER}
    # The small version of figure 4b is that of figure 3.
    small = {f"figure{panel}_small" for panel in PANELS if panel != "4b"}
    coarse = {f"figure{panel}_coarse" for panel in ("7_centre", "7_right", "8_right")}
    whole = {f"figure{panel}" for panel in PANELS}
    assert names == whole | small | coarse | {f"published_6{panel}" for panel in "abcd"}


@pytest.mark.parametrize("path", OF_THE_PAPER, ids=lambda path: path.stem)
def test_diagram_is_named_after_its_figure_in_the_paper(path):
    """Its first line says which figure and panel it is, and whether it is a small or coarse version."""
    first = path.read_text().splitlines()[0]
    number, panel = re.fullmatch(r"(?:figure|published_)(\d)([a-d]?|_\w+?)(?:_small|_coarse)?", path.stem).groups()
    figure = f"{number}, {panel[1:].split('_')[0]}" if panel.startswith("_") else number + panel
    assert re.match(rf"# Figures? {figure}\b", first)
    assert "of the paper" in first
    for size in ("small", "coarse"):
        assert (f", {size}: " in first) == path.stem.endswith(f"_{size}")


@pytest.mark.parametrize("path", sampled(SMALL_DIAGRAMS, 2), ids=lambda path: path.stem)
def test_small_diagram_runs(grok, tmp_path, path):
    smaller = "data.task.p: 7, " if "figure7" in path.stem else ""
    status, _, err = grok(
        "diagram", "--config", path, "--steps=4", "--workers=1", "--compile=false", "--folder", tmp_path / "d",
        f"--set={{{smaller}model.architecture.width: 8}}", "--phase.every_n_steps=2", "--observe.every_n_steps=2",
    )  # fmt: skip
    assert status == 0, err
    rows = (tmp_path / "d/runs.csv").read_text().splitlines()
    assert len(rows) > 2
    assert (tmp_path / "d/phases.png").exists()
