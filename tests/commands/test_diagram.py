"""The command `grok diagram`: its table, its figure, going on after a kill, and its answers to mistakes."""

import csv
import os
import shutil
import signal
import time

import pandas as pd
import pytest

from grokking_pl.plots.diagram import phase_diagram
from tests.children import children
from tests.conftest import ROOT

CONFIG = ROOT / "configs/figures/figure6b_small.yaml"
SHORT = (
    "--steps=60", "--compile=false", "--set={model.architecture.width: 8}", "--device=cpu",
    "--phase.train_threshold=0.3", "--phase.val_threshold=0.1",
)  # fmt: skip


COLUMNS = [
    "model.decoder.weight_decay", "model.decoder.lr", "seed", "steps_to_train", "steps_to_val", "phase",
    "train_accuracy", "val_accuracy", "steps_to_rqi", "rqi", "predicted_accuracy", "effective_dimension",
]  # fmt: skip


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file, fieldnames=COLUMNS))


def table(folder):
    header, *rows = read(folder / "runs.csv")
    assert list(header.values()) == COLUMNS
    return rows


@pytest.fixture(scope="module")
def diagram(grok):
    def run(folder, *options):
        return grok("diagram", "--config", CONFIG, "--folder", folder, *SHORT, *options)

    return run


@pytest.fixture(scope="module")
def folder(diagram, tmp_path_factory):
    """A finished diagram, to be looked at and not changed."""
    path = tmp_path_factory.mktemp("diagram") / "one"
    status, _, err = diagram(path, "--workers=1")
    assert status == 0, err
    return path


def test_table_and_figure(folder):
    rows = table(folder)
    assert len(rows) == 16
    assert all(0 <= float(row["rqi"]) <= 1 and float(row["effective_dimension"]) == 1 for row in rows)
    assert {row["phase"] for row in rows} <= {"comprehension", "grokking", "memorization", "confusion"}
    assert (folder / "phases.png").stat().st_size > 0
    assert "model.decoder.lr" in (folder / "phases.svg").read_text() or (folder / "phases.svg").stat().st_size > 0


def test_runs_that_are_not_stopped_train_for_all_steps(diagram, folder, tmp_path):
    """Their steps to the thresholds are the same; curves and final values are those of the last step."""
    easy = ("--phase.train_threshold=0.1", "--phase.val_threshold=0.1", "--workers=1")
    assert diagram(tmp_path / "stopped", *easy)[0] == 0
    status, _, err = diagram(tmp_path / "whole", *easy, "--stop_when_decided=false")
    assert status == 0, err
    stopped, whole = table(tmp_path / "stopped"), table(tmp_path / "whole")
    for name in COLUMNS[:6]:
        assert [row[name] for row in stopped] == [row[name] for row in whole], name
    finished = {(row["model.decoder.weight_decay"], row["model.decoder.lr"]): row for row in table(folder)}
    for row in whole:  # the thresholds of the other diagram are passed by none, so that it trained for all steps too
        other = finished[row["model.decoder.weight_decay"], row["model.decoder.lr"]]
        if not (other["steps_to_train"] and other["steps_to_val"]):
            assert row["train_accuracy"] == other["train_accuracy"]
    status, _, err = diagram(tmp_path / "whole", *easy)
    assert status == 2
    assert "another diagram (phase differ)" in err


def test_further_thresholds_are_columns(grok, folder, diagram, tmp_path):
    options = ("--workers=1", "--phase.further_thresholds=[0.1, 0.3]")
    status, _, err = diagram(tmp_path / "d", *options)
    assert status == 0, err
    with open(tmp_path / "d/runs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    names = ["steps_to_train_0.1", "steps_to_val_0.1", "steps_to_train_0.3", "steps_to_val_0.3"]
    assert list(rows[0]) == [*COLUMNS, *names]
    for row, without in zip(rows, table(folder), strict=True):
        assert {name: row[name] for name in ("steps_to_train", "steps_to_val", "phase")} == {
            name: without[name] for name in ("steps_to_train", "steps_to_val", "phase")
        }
        # The thresholds of the phases are 0.3 and 0.1.
        assert (row["steps_to_train_0.3"], row["steps_to_val_0.1"]) == (row["steps_to_train"], row["steps_to_val"])
    assert any(row["steps_to_val_0.3"] == "" for row in rows)
    figure = phase_diagram(pd.read_csv(tmp_path / "d/runs.csv"), COLUMNS[:2])
    titles = [panel.get_title("left") for panel in figure.axes]
    assert [title for title in titles if title] == [
        "steps to training threshold", "steps to validation threshold",
        "steps to training accuracy 0.1", "steps to validation accuracy 0.1",
        "steps to training accuracy 0.3", "steps to validation accuracy 0.3",
    ]  # fmt: skip
    status, _, err = grok("report", tmp_path / "d")
    assert status == 0, err
    page = (tmp_path / "d/report.html").read_text()
    assert "steps to validation accuracy 0.1" in page


def test_a_finished_diagram_says_so_and_does_nothing(diagram, folder):
    before = (folder / "runs.csv").stat().st_mtime_ns
    status, _, err = diagram(folder)
    assert (status, (folder / "runs.csv").stat().st_mtime_ns) == (0, before)
    assert "finished" in err


def test_what_is_missing_of_a_table_is_trained(diagram, folder, tmp_path):
    path = shutil.copytree(folder, tmp_path / "one")
    whole = (path / "runs.csv").read_text()
    lines = whole.splitlines(keepends=True)
    (path / "runs.csv").write_text("".join(lines[:5]) + lines[5][:-9])  # killed while it wrote the fifth run
    status, _, err = diagram(path, "--workers=1", "--places=3")
    assert status == 0, err
    assert "4 done" in err
    assert (path / "runs.csv").read_text() == whole


@pytest.mark.slow
def test_two_processes_make_the_same_table(diagram, folder, tmp_path):
    status, _, err = diagram(tmp_path / "two", "--workers=2")
    assert status == 0, err
    assert table(tmp_path / "two") == table(folder)


def run_ranks(grok_process, folder, *options):
    options = ("--devices=2", "--workers=1", *options)
    process = grok_process("diagram", "--config", CONFIG, "--folder", folder, *SHORT, *options)
    _, err = process.communicate(timeout=280)
    return process.returncode, err


@pytest.mark.slow
def test_two_ranks_make_the_same_table(grok_process, folder, tmp_path):
    status, err = run_ranks(grok_process, tmp_path / "ranks")
    assert status == 0, err
    assert "2 processes on cpu" in err
    assert (tmp_path / "ranks/runs.csv").read_text() == (folder / "runs.csv").read_text()
    assert not list((tmp_path / "ranks").glob("runs.rank*.csv"))


@pytest.mark.slow
def test_a_rank_that_dies_leaves_what_was_finished(grok_process, tmp_path):
    path = tmp_path / "ranks"
    options = ("--devices=2", "--workers=1", "--steps=3000", "--places=2", "--checkpoint_seconds=0.5")
    process = grok_process("diagram", "--config", CONFIG, "--folder", path, *SHORT, *options)
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and not (path / "runs.rank1.csv").exists():
        time.sleep(0.2)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    assert process.wait(60) != 0
    before = {tuple(row.values()) for part in path.glob("runs*.csv") for row in read(part)} - {tuple(COLUMNS)}
    assert before
    status, err = run_ranks(grok_process, path, *options[2:])
    assert status == 0, err
    assert "done;" in err
    assert before <= {tuple(row.values()) for row in table(path)}
    assert len(table(path)) == 16


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_diagram_goes_on(number, grok_process, diagram, folder, tmp_path):
    options = ("--steps=3000", "--workers=2", "--checkpoint_seconds=0.5", "--places=2")
    process = grok_process("diagram", "--config", CONFIG, "--folder", tmp_path / "d", *SHORT, *options)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "d").glob("checkpoints/rank_*.pt")) and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(number)
    assert process.wait(30) == (143 if number == signal.SIGTERM else -9)
    status, _, err = diagram(tmp_path / "d", *options)
    assert status == 0, err
    status, _, err = diagram(tmp_path / "uninterrupted", *options)
    assert table(tmp_path / "d") == table(tmp_path / "uninterrupted")


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        ("--axes={model.decoder.wieght_decay: [1]}", "did you mean model.decoder.weight_decay?"),
        ("--axes={model.decoder.lr: []}", "is empty"),
        ("--axes={}", "0 axes"),
        ("--axes={model.decoder.lr: {scale: log, low: 0, high: 1, n: 3}}", "starts at 0"),
        ("--axes={model.decoder.lr: [-1]}", "lr is -1"),
        ("--axes={model.decoder.lr: [fast]}", "lr is fast; expected float"),
        ("--axes={model.decoder.lr: [0.1, 0.2, -1]}", "lr is -1"),
        ("--axes={model.decoder.lr: [0.1, fast]}", "lr is fast; expected float"),
        ("--axes={model.architecture.depth: [2, 3, 0]}", "depth is 0"),
        ("--axes={model.architecture.depth: [2, 3.5]}", "depth is 3.5; expected int"),
        ("--axes={data.task.p: [10, 10.5]}", "p is 10.5; expected int"),
        ("--axes={model.architecture.activation: [tanh, 3]}", "activation is 3; expected 'relu', "),
        ("--axes={model.decoder.decoupled: [true, 1]}", "decoupled is 1; expected bool"),
        ("--axes={model.decoder.lr: [[1, 2]]}", "decoder.lr is [1, 2]; expected float"),
        ("--axes={data.train_count: [99]}", "train_count is 99, but there are only 55 samples"),
        ("--base=no/such.yaml", "no/such.yaml"),
        ("--steps=0", "steps is 0"),
        ("--seeds=[]", "empty"),
        ("--workers=0", "workers is 0"),
        ("--phase.delay=-1", "delay is -1"),
        ("--phase.further_thresholds=[]", "further_thresholds is []"),
        ("--phase.further_thresholds=[0.99, 0.6]", "in ascending order"),
        ("--phase.further_thresholds=[0.5, .nan, 0.9]", "in ascending order"),
        ("--phase.further_thresholds=[a]", "expected list[float]"),
        ("--axes={a: {paths: [data.seed], values: [1, 2]}, data.seed: [3]}", "the axes set data.seed twice"),
        ("--axes={a: {paths: [data.seed, data.seed], values: [1, 2]}}", "the axes set data.seed twice"),
        ("--axes={model.architecture.width: [8, 9], model.architecture: [grokking_pl.models.Toy]}", "swap them"),
        ("--axes={seed: {paths: [data.seed], values: [1, 2]}}", "name seed, which is a column of the results"),
        ("--axes={step: {paths: [data.seed], values: [1, 2]}}", "name step, which is a column of the results"),
        ('--axes={"": {paths: [data.seed], values: [1, 2]}}', "an axis has the name ''"),
        ("--axes={1: [0.1]}", "an axis has the name 1"),
        ("--axes={a: {path: [data.seed], values: [1, 2]}}", "check high, low, n, path"),
        ("--axes={a: {paths: [data.seed], label: 3, values: [1, 2]}}", "label [3]"),
        ("--axes={model.init_args.decoder.lr: [0.1]}", "did you mean model.decoder.lr?"),
        ("--axes={model.decoder.lr: [1.0, 1]}", "has a duplicate value"),
        ("--axes={model.decoder.lr: [.nan]}", "lr is nan"),
        ("--axes={model.decoder.lr: {scale: log, low: 0.1, high: 1, n: 1000000000}}", "n = 1000000000"),
        ("--steps=100000000000000000000000", "at most 100000000"),
        ("--set={model.decoder.lr: 0.1}", "set and the axis model.decoder.lr both set model.decoder.lr"),
        ("--set={1: 1}", "no hyperparameter 1"),
        ("--set={data.seeed: 1}", "did you mean data.seed?"),
        ("--checkpoint_seconds=-1", "checkpoint_seconds is -1"),
        ("--checkpoint_seconds=.nan", "checkpoint_seconds is nan"),
        ("--axes={a: {paths: [no.such], values: [1]}}", "no.such"),
        ("--axes={data.seed: {label: x, values: [1]}, model.decoder.lr: {label: x, values: [1]}}", "have the label x"),
        ("--device=tpu", "tpu"),
        ("--step=3", "did you mean --steps?"),
        ("--stepz=3", "did you mean --steps?"),
        ("--set={trainer.precision: 64}", "is the same for all runs of a diagram: set it in the base"),
        ("--axes={seed_everything: [1, 2]}", "give seeds, as in seeds: [1, 2]"),
        ("--devices=0", "devices is 0"),
        ("--observe.every_n_steps=0", "every_n_steps is 0"),
        ("--axes={model.decoder.lr: {scale: linear, low: 2, high: 1, n: 3}}", "low must be below high"),
        ("--set={data.train_count: null, data.train_fraction: 0.999}", "validation"),
        ("--set={model.architecture: tests.population.uncountable.Uncountable}", "cannot be trained as a batch"),
        ("--set={model.architecture: tests.population.uncountable.Normalised}", "cannot be trained as a batch"),
        ("--folder=/dev/null/d", "/dev/null/d"),
    ],
)
def test_mistakes_get_one_line(diagram, tmp_path, option, wanted):
    status, _, err = diagram(tmp_path / "d", "--workers=1", option)
    assert status == 2
    assert wanted in err
    lines = [line for line in err.splitlines() if not line.startswith("diagram in ")]
    assert len(lines) == 1
    assert lines[0].startswith("grok: error: ")


def test_folder_of_another_diagram(diagram, folder):
    status, _, err = diagram(folder, "--seeds=[5]")
    assert (status, "seeds differ" in err) == (2, True)
