"""The command `grok report`: what it writes of a whole folder, of half a one, and its answers to mistakes."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT


@pytest.fixture
def run_copy(run_folder, tmp_path):
    return shutil.copytree(run_folder, tmp_path / "run", ignore=shutil.ignore_patterns("tensorboard", "checkpoints"))


@pytest.fixture
def diagram_copy(diagram_folder, tmp_path):
    return shutil.copytree(diagram_folder, tmp_path / "diagram")


def text_of(path):
    """What a report says, without its scripts, styles and tags."""
    page = re.sub(r"<(script|style).*?</\1>", "", path.read_text(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", page))


def test_help_loads_nothing_heavy():
    script = (
        "import contextlib, sys\nfrom grokking_pl.commands.main import main\n"
        "with contextlib.suppress(SystemExit): main(['report', '--help'])\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "FOLDER/report.html" in done.stdout


def test_report_of_a_run(grok, run_copy):
    status, out, err = grok("report", run_copy)
    assert (status, err) == (0, "")
    assert out == f"report in {run_copy}/report.html: open it in a browser\n"
    page = text_of(run_copy / "report.html")
    summary = json.loads((run_copy / "summary.json").read_text())
    for words in (
        f" {summary['phase']}",
        "computed from the configuration",
        "principal component",
        "fraction of the power at each frequency",
        "Effective theory; dashed",
    ):
        assert words in page or words.capitalize() in page, words


def test_the_head_names_the_run_and_the_accuracies_are_of_the_same_pairs(grok, run_copy):
    """With what is recorded: task, sizes, seed and parent, and the accuracy over all pairs beside the ideal one."""
    summary = json.loads((run_copy / "summary.json").read_text())
    sizes = summary["train_samples"], summary["val_samples"]
    changed = {"parent": "runs/first@300", "train_accuracy": 1.0, "val_accuracy": 0.5}
    (run_copy / "summary.json").write_text(json.dumps(summary | changed))
    assert grok("report", run_copy)[0] == 0
    page = text_of(run_copy / "report.html")
    head = f"A run of ToyModel on addition (p = 11), {sizes[0]} training and {sizes[1]} validation samples, seed"
    assert f"{head} {summary['seed']}. Forked from runs/first at step 300." in page
    assert sum(sizes) == 66
    assert f"accuracy of the network, all pairs {(sizes[0] + sizes[1] / 2) / 66:.4g}" in page

    for name in ("train_samples", "val_samples", "parent"):  # of an older run
        summary.pop(name, None)
    (run_copy / "summary.json").write_text(json.dumps(summary))
    assert grok("report", run_copy)[0] == 0
    page = text_of(run_copy / "report.html")
    assert f"on addition (p = 11), seed {summary['seed']}." in page
    assert "accuracy of the network, validation pairs only" in page


def test_recorded_theory_is_preferred(grok, run_copy):
    summary = json.loads((run_copy / "summary.json").read_text())
    recorded = {
        "lambda_3": 0.125, "n0": 3, "unique_structure": True, "ideal_accuracy": 0.75, "predicted_steps": 8000.0,
        "theory_comparison": "as recorded",
    }  # fmt: skip
    (run_copy / "summary.json").write_text(json.dumps(summary | recorded))
    assert grok("report", run_copy)[0] == 0
    page = text_of(run_copy / "report.html")
    for words in ("recorded by the callback EffectiveTheory", "0.125", "8000 steps", "Effective theory: as recorded."):
        assert words in page


def test_parts_that_a_folder_lacks_are_named(grok, small_mnist, tmp_path):
    assert grok("fit", *small_mnist, "--run_dir", tmp_path / "mnist")[0] == 0
    status, _, err = grok("report", tmp_path / "mnist", "--output", tmp_path / "mnist.html")
    assert (status, err) == (0, "")
    page = text_of(tmp_path / "mnist.html")
    assert "the callback EmbeddingSnapshots records them" in page
    assert "The callback EffectiveTheory compares where it applies." in page


@pytest.mark.parametrize("left", ["metrics.csv", "summary.json"])
def test_a_run_of_which_one_file_is_left(left, grok, run_copy):
    for path in run_copy.iterdir():
        if path.name != left:
            path.unlink()
    status, _, err = grok("report", run_copy)
    assert (status, err) == (0, "")
    page = text_of(run_copy / "report.html")
    assert ("This run is not finished" in page) == (left == "metrics.csv")
    assert ("There are no curves" in page) == (left == "summary.json")


def test_report_of_an_unfinished_diagram(grok, diagram_copy):
    lines = (diagram_copy / "runs.csv").read_text().splitlines(keepends=True)
    (diagram_copy / "runs.csv").write_text("".join(lines[:5]) + lines[5][:-9])
    (diagram_copy / "runs.rank1.csv").write_text(lines[8])  # of another process, which has not been merged
    status, _, err = grok("report", diagram_copy)
    assert (status, err) == (0, "")
    assert "5 of 18 runs have ended; the others are blank" in text_of(diagram_copy / "report.html")


def test_a_diagram_without_curves_says_so(grok, diagram_copy):
    (diagram_copy / "curves.csv").unlink()
    assert grok("report", diagram_copy)[0] == 0
    assert "has no curves.csv" in text_of(diagram_copy / "report.html")


def test_a_diagram_of_one_axis_and_one_seed(grok, diagram_copy):
    description = json.loads((diagram_copy / "diagram.json").read_text())
    description["axes"].pop("model.decoder.weight_decay")
    description["seeds"] = [58]
    (diagram_copy / "diagram.json").write_text(json.dumps(description))
    for name in ("runs.csv", "curves.csv"):
        header, *lines = (line.partition(",")[2] for line in (diagram_copy / name).read_text().splitlines())
        kept = [line for line in lines if line.split(",")[1] == "58"]
        (diagram_copy / name).write_text("\n".join([header, *kept, ""]))
    status, _, err = grok("report", diagram_copy)
    assert (status, err) == (0, "")
    text = text_of(diagram_copy / "report.html")
    assert "3 runs over decoder learning rate" in text
    assert "decoder learning rate: model.decoder.lr." in text


def refuse(grok, words, *arguments):
    status, out, err = grok("report", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("grok: error: ")
    assert len(err.splitlines()) == 1
    assert words in err


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("summary.json", b"{", "not valid JSON"),
        ("summary.json", b"[]", "it has no names"),
        ("summary.json", b'{"phase": "liquid"}', "unknown phase 'liquid'"),
        ("metrics.csv", b"\xff\xfe\x00", "not valid CSV"),
        ("metrics.csv", b"", "not valid CSV"),
        ("metrics.csv", b"a,b\n1,2\n", "no step column"),
        ("config.yaml", b"a: [", "not valid YAML"),
        ("embeddings.npz", b"PK", "not an archive"),
        ("trajectories.npz", b"", "not an archive"),
    ],
)
def test_a_corrupt_file_of_a_run(file, content, words, grok, run_copy):
    (run_copy / file).write_bytes(content)
    refuse(grok, words, run_copy)
    refuse(grok, str(run_copy / file), run_copy)


def test_embeddings_of_another_shape(grok, run_copy):
    np.savez(run_copy / "embeddings.npz", steps=np.arange(2), embeddings=np.zeros((3, 4, 1)), symbols=np.array(["0"]))
    refuse(grok, "(3, 4, 1)", run_copy)
    np.savez(run_copy / "embeddings.npz", steps=np.arange(2))
    refuse(grok, "it lacks embeddings", run_copy)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("diagram.json", b"nonsense", "not valid JSON"),
        ("diagram.json", b'{"axes": {}}', "it does not describe a grid"),
        ("diagram.json", b"[]", "it does not describe a grid"),
        ("runs.csv", b"a,b\n1,2\n", "its columns are not those of this diagram"),
        ("runs.csv", b"", "its columns are not those of this diagram"),
        ("runs.csv", b"\xff\xfe\x00\n", "it is not text"),
        ("curves.csv", b"\xff\xfe\x00\n", "it is not text"),
    ],
)
def test_a_corrupt_file_of_a_diagram(file, content, words, grok, diagram_copy):
    (diagram_copy / file).write_bytes(content)
    refuse(grok, words, diagram_copy)


def test_folders_that_hold_neither(grok, run_copy, tmp_path):
    refuse(grok, "does not exist", tmp_path / "nowhere")
    refuse(grok, "is a file", run_copy / "summary.json")
    refuse(grok, f"it contains one, {run_copy}", tmp_path)
    (tmp_path / "empty").mkdir()
    refuse(grok, "neither a run", tmp_path / "empty")


def test_mistakes_on_the_command_line(grok, run_copy, tmp_path):
    refuse(grok, "FOLDER")
    refuse(grok, "--folder", run_copy, "--folder", run_copy)
    refuse(grok, "--output", run_copy, "--output", tmp_path / "no/such/place.html")
    refuse(grok, "--output", run_copy, "--output", tmp_path)


def test_theory_is_not_compared_with_what_does_not_add(grok, tmp_path):
    configuration = ROOT / "configs/permutation_s3.yaml"
    options = ("--trainer.max_steps=20", "--trainer.enable_progress_bar=false", "--run_dir", tmp_path / "run")
    assert grok("fit", "--config", configuration, *options)[0] == 0
    assert grok("report", tmp_path / "run")[0] == 0
    assert "the network does not add its embeddings" in text_of(tmp_path / "run/report.html")


def test_the_predicted_steps_are_those_of_any_optimizer(grok, tmp_path):
    options = ("--model.embeddings=Lion", "--model.embeddings.lr=1e-3")
    common = ("--trainer.max_steps=20", "--trainer.enable_progress_bar=false", "--run_dir", tmp_path / "run")
    assert grok("fit", "--config", ROOT / "configs/toy_addition.yaml", *options, *common)[0] == 0
    status, _, err = grok("report", tmp_path / "run")
    assert status == 0, err
    assert "computed from the configuration" in text_of(tmp_path / "run/report.html")


def test_damaged_circuit(grok, circuit_folder, tmp_path):
    copy = shutil.copytree(
        circuit_folder, tmp_path / "run", ignore=shutil.ignore_patterns("tensorboard", "checkpoints")
    )
    np.savez(copy / "circuit.npz", steps=np.arange(3))
    for reason in ("it lacks logit_spectrum", "not an archive"):
        status, _, err = grok("report", copy)
        assert status == 2
        assert f"circuit.npz is corrupt ({reason}" in err
        (copy / "circuit.npz").write_bytes(b"nothing")
