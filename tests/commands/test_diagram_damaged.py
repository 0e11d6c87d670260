"""A diagram whose files are damaged is resumed from none of them: one line names the file, and all stay as they are."""

import json
import re
import shutil

import pytest
import torch

import grokking_pl.plots.diagram  # noqa: F401
from grokking_pl.errors import UserError
from grokking_pl.runs.diagram_folder import DiagramFolder
from tests.killed import contents, fork_grok
from tests.small_diagram import SMALL_DIAGRAM

BINARY = bytes(range(128, 256))
STATES = "checkpoints/rank_0_0.pt"
ADVICE = "restore it from a copy|move it away|choose another folder"


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A diagram of which two runs have ended, in the tables of two processes, and two are on their way."""
    folder = tmp_path_factory.mktemp("interrupted") / "diagram"
    command = [*SMALL_DIAGRAM, f"--folder={folder}"]
    _, operations = fork_grok(command, folder)
    for number in range(operations // 2, operations):
        shutil.rmtree(folder)
        fork_grok(command, folder, kill_at=number)
        if len(rows(folder / "runs.csv")) == 3 and (folder / STATES).exists() and torch.load(folder / STATES):
            break
    for name in ("runs", "curves"):
        header, *lines = rows(folder / f"{name}.csv")
        half = len(lines) // 2
        (folder / f"{name}.csv").write_text(header + "".join(lines[:half]))
        (folder / f"{name}.rank1.csv").write_text("".join(lines[half:]))
    return folder


@pytest.fixture
def folder(interrupted, tmp_path):
    return shutil.copytree(interrupted, tmp_path / "diagram")


def open_folder(path):
    description = json.loads((path / "diagram.json").read_text())
    return DiagramFolder(path, description["axes"], description["seeds"])


def rows(path):
    return path.read_text().splitlines(keepends=True) if path.exists() else []


def put_folder(path):
    path.unlink()
    path.mkdir()


def put_file(path):
    shutil.rmtree(path)
    path.write_text("")


def put(column, text):
    """Write another value into a column of the last row."""

    def damage(path):
        *others, last = rows(path)
        values = last.rstrip("\n").split(",")
        values[column] = text
        path.write_text("".join(others) + ",".join(values) + "\n")

    return damage


def change_state(change):
    def damage(path):
        states = torch.load(path)
        change(states)
        torch.save(states, path)

    return damage


def first(states):
    return states[min(states)]


PART = {
    "other columns": lambda path: path.write_text("a,b\n1,2\n"),
    "binary tail": lambda path: path.write_bytes(path.read_bytes() + BINARY),
    "zeros": lambda path: path.write_bytes(path.read_bytes() + bytes(40)),
    "a cut row in the middle": lambda path: path.write_text("0,0.00\n" + path.read_text()),
    "a longer row": lambda path: path.write_text(path.read_text() + "0,1" * 40 + "\n"),
    "an axis value of another diagram": put(1, "7"),
    "a seed of another diagram": put(2, "59"),
    "a word for a number": put(-1, "many"),
    "a folder": put_folder,
}
TABLE = {
    **PART,
    "empty": lambda path: path.write_text(""),
    "no first line": lambda path: path.write_text("".join(rows(path)[1:])),
    "cut in its first line": lambda path: path.write_bytes(path.read_bytes()[:20]),
}
RECORD = {
    "empty": lambda path: path.write_text(""),
    "other content": lambda path: path.write_text("[1, 2]"),
    "binary tail": lambda path: path.write_bytes(path.read_bytes() + BINARY),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:40]),
    "a folder": put_folder,
}
DAMAGES = {
    "runs.csv": TABLE,
    "runs.rank1.csv": PART,
    "curves.csv": {**TABLE, "half a step": put(3, "0.5"), "no step": put(3, "")},
    "curves.rank1.csv": PART,
    STATES: {
        "empty": lambda path: path.write_bytes(b""),
        "text": lambda path: path.write_text("hello"),
        "zeros": lambda path: path.write_bytes(bytes(1000)),
        "cut": lambda path: path.write_bytes(path.read_bytes()[:-200]),
        "a folder": put_folder,
        "a list": lambda path: torch.save([1, 2], path),
        "a run that there is not": change_state(lambda states: states.update({99: first(states)})),
        "no parameters": change_state(lambda states: first(states).pop("parameters")),
        "no moments": change_state(lambda states: first(states).update(second={})),
        "a parameter missing": change_state(lambda states: first(states)["parameters"].popitem()),
        "moments of another shape": change_state(
            lambda states: first(states)["first"].update({"network.embeddings": torch.zeros(2)})
        ),
        "no step": change_state(lambda states: first(states)["tracking"].pop("step")),
        "a step of another kind": change_state(lambda states: first(states)["tracking"].update(step="many")),
        "nothing seen": change_state(lambda states: first(states).update(observed=None)),
        "no state": change_state(lambda states: states.update({min(states): 1})),
    },
    "checkpoints": {"a file": put_file},
    "phases.png": {"a folder": lambda path: path.mkdir()},
    "phases.svg": {"a folder": lambda path: path.mkdir()},
}  # fmt: skip


@pytest.mark.parametrize(("name", "damage"), [(name, damage) for name, kinds in DAMAGES.items() for damage in kinds])
def test_damaged_files_are_named(folder, name, damage):
    intact = contents(folder)
    open_folder(folder).check()
    DAMAGES[name][damage](folder / name)
    before = contents(folder)
    assert before != intact or not (folder / name).is_file()
    with pytest.raises(UserError, match=f"^{re.escape(str(folder / name))} .*({ADVICE})") as error:
        open_folder(folder).check()
    assert len(str(error.value).splitlines()) == 1
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("runs.csv", put(5, "liquid")),
        *[("diagram.json", damage) for damage in RECORD.values()],
        *[(name, damages["a folder"]) for name, damages in DAMAGES.items() if "a folder" in damages],
    ],
)
def test_a_diagram_with_a_damaged_file_is_left_as_it_is(grok, folder, name, damage):
    damage(folder / name)
    before = contents(folder)
    status, out, err = grok(*SMALL_DIAGRAM, f"--folder={folder}")
    assert (status, out) == (2, ""), err
    assert re.match(f"grok: error: {re.escape(str(folder / name))} .*({ADVICE})", err)
    assert len(err.splitlines()) == 1
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["runs.csv", "runs.rank1.csv", "curves.csv", "curves.rank1.csv"])
def test_half_a_line_at_the_end_is_what_a_killed_process_leaves(grok, folder, name):
    whole = (folder / name).read_text()
    (folder / name).write_text(whole + "0,0.0")
    status, _, err = grok(*SMALL_DIAGRAM, f"--folder={folder}")
    assert status == 0, err
    assert "2 done" in err
    table, curves = rows(folder / "runs.csv"), rows(folder / "curves.csv")
    assert len(table) == 5
    assert len({line.count(",") for line in table}) == len({line.count(",") for line in curves}) == 1


@pytest.mark.parametrize("name", ["runs.csv", "curves.csv", STATES])
def test_deleting_the_damaged_file_helps(grok, folder, name):
    (folder / name).unlink()
    status, _, err = grok(*SMALL_DIAGRAM, f"--folder={folder}")
    assert status == 0, err
    assert len(rows(folder / "runs.csv")) == 5


def test_half_a_line_of_curves_alone(grok, folder):
    """The first process was killed while it wrote the curves of the runs that were the first to end."""
    header, *lines = rows(folder / "curves.csv")
    for name in ("runs", "curves"):
        (folder / f"{name}.rank1.csv").unlink()
    (folder / "runs.csv").write_text(rows(folder / "runs.csv")[0])
    (folder / "curves.csv").write_text(header + lines[0] + lines[1][:9])
    for _ in range(2):
        status, _, err = grok(*SMALL_DIAGRAM, f"--folder={folder}")
        assert status == 0, err
    assert len({line.count(",") for line in rows(folder / "curves.csv")}) == 1
