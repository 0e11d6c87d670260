"""A diagram that is killed at any of its file operations goes on to the files of one that was never killed."""

import random

import pytest

from tests.killed import contents, fork_grok
from tests.small_diagram import SMALL_DIAGRAM

SAMPLED = {"whole": 2, "two parts": 1}


def divide(folder, files):
    """Put into a folder what a job of two processes leaves that was killed after its last run."""
    folder.mkdir(parents=True)
    for name in ("runs", "curves"):
        header, *rows = files[f"{name}.csv"].decode().splitlines(keepends=True)
        (folder / f"{name}.csv").write_text(header + "".join(rows[1::2]))
        (folder / f"{name}.rank1.csv").write_text("".join(rows[::2]))
    (folder / "diagram.json").write_bytes(files["diagram.json"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The contents of a diagram that is not killed, and the number of its file operations."""
    folder = tmp_path_factory.mktemp("whole") / "diagram"
    status, operations = fork_grok([*SMALL_DIAGRAM, f"--folder={folder}"], folder)
    assert status == 0, (folder.parent / "log.txt").read_text()
    return contents(folder), operations


@pytest.fixture(scope="module")
def operations(whole, tmp_path_factory):
    """The number of file operations from each beginning on."""
    expected, of_all = whole
    folder = tmp_path_factory.mktemp("divided") / "diagram"
    begin("two parts", folder, expected)
    status, of_the_end = fork_grok([*SMALL_DIAGRAM, f"--folder={folder}"], folder)
    assert status == 0, (folder.parent / "log.txt").read_text()
    assert contents(folder) == expected
    return {"whole": of_all, "two parts": of_the_end}


def begin(beginning, folder, files):
    if beginning == "two parts":
        divide(folder, files)


def check(expected, beginning, tmp_path, number):
    folder = tmp_path / "diagram"
    begin(beginning, folder, expected)
    status, _ = fork_grok([*SMALL_DIAGRAM, f"--folder={folder}"], folder, kill_at=number)
    assert status == -9
    status, _ = fork_grok([*SMALL_DIAGRAM, f"--folder={folder}"], folder)
    assert status == 0, (tmp_path / "log.txt").read_text()
    after = contents(folder)
    assert after.keys() == expected.keys(), number
    for name, content in expected.items():
        assert after[name] == content, (number, name)


@pytest.mark.parametrize(
    ("beginning", "share"), [(beginning, share) for beginning, parts in SAMPLED.items() for share in range(parts)]
)
def test_killed_somewhere(whole, operations, tmp_path, beginning, share):
    """One operation in each part of the work."""
    bounds = [1 + operations[beginning] * part // SAMPLED[beginning] for part in (share, share + 1)]
    check(whole[0], beginning, tmp_path, random.Random(share).randrange(*bounds))


@pytest.mark.slow
@pytest.mark.parametrize("beginning", SAMPLED)
def test_killed_at_each_operation(whole, operations, tmp_path, beginning):
    for number in range(1, operations[beginning] + 1):
        (tmp_path / str(number)).mkdir()
        check(whole[0], beginning, tmp_path / str(number), number)
