"""A diagram with a damaged file is not resumed as if it were whole: one line names it, and nothing is trained."""

import os
import shutil

import pytest
import torch

from tests.killed import contents, fork_grok
from tests.test_killed_anywhere import RUNS, into

ARGUMENTS = RUNS["diagram"]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A diagram of which one run has not ended, with the state of its members."""
    folder = tmp_path_factory.mktemp("diagram") / "run"
    status, _ = fork_grok([*ARGUMENTS, *into("diagram", folder)], folder)
    assert status == 0
    shutil.copy(folder / "runs.csv", folder.parent / "whole.csv")
    for name in ("runs.csv", "curves.csv"):
        lines = (folder / name).read_text().splitlines(keepends=True)
        (folder / name).write_text("".join(line for line in lines if not line.startswith(lines[-1][:4])))
    for figure in folder.glob("phases.*"):
        figure.unlink()
    torch.save({}, folder / "checkpoints/rank_0_0.pt")
    return folder


def written(data):
    return lambda path: path.write_bytes(data)


def followed_by(data):
    return lambda path: path.write_bytes(path.read_bytes() + data)


def halved(path):
    os.truncate(path, path.stat().st_size // 2)


def a_folder(path):
    path.unlink(missing_ok=True)
    path.mkdir()


OTHER, BINARY = b"a,b\n1,2\n", b"\xff\xfe\x00\x01"
DAMAGES = [
    ("runs.csv", written(OTHER), "has not the columns of this diagram"),
    ("runs.csv", written(b""), "has not the columns of this diagram"),
    ("runs.csv", written(b"model.decoder.weight"), "has not the columns of this diagram"),
    ("runs.csv", followed_by(BINARY), "is damaged: it is no text"),
    ("runs.csv", a_folder, "cannot be read"),
    ("curves.csv", written(OTHER), "has not the columns of this diagram"),
    ("curves.csv", followed_by(BINARY), "is damaged: it is no text"),
    ("curves.csv", a_folder, "cannot be read"),
    ("runs.rank1.csv", written(BINARY), "is damaged: it is no text"),
    ("runs.rank1.csv", a_folder, "cannot be read"),
    ("curves.rank2.csv", written(BINARY), "is damaged: it is no text"),
    ("diagram.json", written(OTHER), "cannot be read"),
    ("diagram.json", written(b""), "cannot be read"),
    ("diagram.json", halved, "cannot be read"),
    ("diagram.json", a_folder, "cannot be read"),
    ("phases.png", a_folder, "is not a file"),
    ("phases.svg", a_folder, "is not a file"),
]


@pytest.mark.parametrize(("name", "damage", "reason"), DAMAGES)
def test_damaged_file_is_named(stopped, grok, tmp_path, name, damage, reason):
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    damage(folder / name)
    before = contents(folder)
    status, _, err = grok(*ARGUMENTS, *into("diagram", folder))
    assert status == 2
    assert err.startswith(f"grok: error: {folder / name} {reason}")
    assert len(err.splitlines()) == 1
    assert {file: content for file, content in contents(folder).items() if file != "error.log"} == before


@pytest.mark.parametrize("damage", [written(OTHER), halved])
def test_members_whose_state_is_damaged_begin_anew(stopped, grok, tmp_path, damage):
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    state = folder / "checkpoints/rank_0_0.pt"
    damage(state)
    status, _, err = grok(*ARGUMENTS, *into("diagram", folder))
    assert status == 0, err
    assert f"{state} is damaged: the runs that were on their way in it begin anew" in err
    assert (folder / "runs.csv").read_text() == (stopped.parent / "whole.csv").read_text()
