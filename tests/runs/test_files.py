"""Files are whole or absent; a folder belongs to one description, and to one process at a time."""

import csv
import errno
import json
import signal
import subprocess
import sys
import textwrap

import pytest

from grokking_pl.errors import UserError
from grokking_pl.runs import files
from grokking_pl.runs.files import FolderLock, atomic_file, claim_folder, write_atomically, write_table, writing
from grokking_pl.runs.job import is_first_process
from tests.conftest import ROOT

# Files.


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "file.txt"
    write_atomically(path, "before")
    with atomic_file(path) as file:
        file.write(b"after")
        file.flush()
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert list(path.parent.iterdir()) == [path]


def fail_half_way(file, error):
    file.write(b"half")
    raise error


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, ValueError])
def test_what_was_there_outlives_a_failed_write(tmp_path, error):
    path = tmp_path / "file.txt"
    write_atomically(path, "before")
    with pytest.raises(error), atomic_file(path) as file:
        fail_half_way(file, error)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_has_a_row_per_mapping(tmp_path):
    write_table(tmp_path / "t.csv", ["a", "b"], [{"a": 1, "b": "x,y\n"}, {"b": 2.5}])
    assert (tmp_path / "t.csv").read_bytes() == b'a,b\n1,"x,y\n"\n,2.5\n'
    with open(tmp_path / "t.csv", newline="") as file:
        assert list(csv.DictReader(file)) == [{"a": "1", "b": "x,y\n"}, {"a": "", "b": "2.5"}]


@pytest.mark.parametrize(
    ("error", "reason"), [(OSError(errno.ENOSPC, "No space left"), "No space left"), (RuntimeError("bad\nmore"), "bad")]
)
def test_a_write_that_fails_is_one_line(tmp_path, error, reason):
    with pytest.raises(UserError) as raised, writing(tmp_path / "f", "make room"):
        raise error
    assert str(raised.value) == f"cannot write {tmp_path / 'f'} ({reason}): make room"


# What a folder is for.


def claim(folder, **description):
    claim_folder(folder / "thing.json", description, "thing", "--folder")


def test_a_folder_belongs_to_one_description(tmp_path):
    claim(tmp_path / "new", seeds=(1, 2), steps=3)
    claim(tmp_path / "new", seeds=(1, 2), steps=3)
    assert json.loads((tmp_path / "new/thing.json").read_text()) == {"seeds": [1, 2], "steps": 3}
    with pytest.raises(UserError) as raised:
        claim(tmp_path / "new", seeds=(1, 5), steps=3, more=None)
    assert str(raised.value) == (
        f"{tmp_path / 'new'} holds another thing (seeds, more differ): choose another folder with --folder, or delete "
        "this one"
    )


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"3", b"\xff\xfe\x00"])
def test_a_corrupt_record_is_one_line(tmp_path, content):
    (tmp_path / "thing.json").write_bytes(content)
    with pytest.raises(UserError, match=r"thing\.json cannot be read: choose another folder with --folder"):
        claim(tmp_path, steps=3)
    assert (tmp_path / "thing.json").read_bytes() == content


# The lock. Its other holder is always another process, as in life.

HOLDER = """
    import importlib.util, subprocess, sys
    from pathlib import Path

    # Alone, since the package around it takes seconds to import.
    spec = importlib.util.spec_from_file_location("files", "grokking_pl/runs/files.py")
    files = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(files)

    with files.FolderLock(Path(sys.argv[1]), "--run_dir") as lock:
        if "child" in sys.argv:
            waiting = [sys.executable, "-c", "import sys; sys.stdin.read()"]
            subprocess.Popen(waiting, pass_fds=(lock.descriptor,), stdin=sys.stdin)
        print("held", flush=True)
        input()
    print("released", flush=True)
    input()
"""


@pytest.fixture
def hold():
    """Start a process that holds a folder's lock until it is sent a line, and then lives on."""
    started = []

    def start(folder, *options):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(HOLDER), str(folder), *options], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def take(folder):
    with FolderLock(folder, "--run_dir"):
        pass


def test_a_folder_in_use_is_refused(tmp_path, hold):
    holder = hold(tmp_path / "run")
    with pytest.raises(UserError) as raised:
        take(tmp_path / "run")
    assert str(raised.value) == (
        f"another command, or a run that it left behind, uses {tmp_path / 'run'}: wait until it ends, or choose "
        "another folder with --run_dir"
    )
    take(tmp_path / "other")
    holder.stdin.write("\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "released\n"
    take(tmp_path / "run")


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path, hold):
    holder = hold(tmp_path)
    holder.send_signal(signal.SIGKILL)
    holder.wait(30)
    take(tmp_path)


def test_a_child_that_inherits_the_lock_keeps_it(tmp_path, hold):
    holder = hold(tmp_path, "child")
    holder.send_signal(signal.SIGKILL)
    holder.wait(30)
    with pytest.raises(UserError, match="a run that it left behind"):
        take(tmp_path)
    holder.stdin.close()
    holder.stdout.read()  # ends with the child
    take(tmp_path)


def test_only_the_first_process_of_a_job_takes_the_lock(tmp_path, hold, monkeypatch):
    hold(tmp_path)
    assert is_first_process()
    for name in ("RANK", "SLURM_PROCID", "NODE_RANK", "LOCAL_RANK"):
        monkeypatch.setenv(name, "0")
    assert is_first_process()
    for name in ("RANK", "SLURM_PROCID", "NODE_RANK", "LOCAL_RANK"):
        monkeypatch.setenv(name, "1")
        assert not is_first_process()
        with FolderLock(tmp_path, "--run_dir", is_first_process()):
            pass
        monkeypatch.setenv(name, "0")


@pytest.mark.parametrize("number", files.WITHOUT_LOCKS)
def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, capsys, number):
    def flock(file, operation):
        raise OSError(number, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", flock)
    with FolderLock(tmp_path, "--run_dir") as lock:
        assert lock.descriptor > 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"{tmp_path} cannot be locked (No locks available): start no other command in it until this one ends"


def test_a_system_without_fcntl_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(files, "fcntl", None)
    take(tmp_path)
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be locked (this system has no fcntl)" in line


@pytest.mark.parametrize("path", ["/dev/null/run", "/proc/run"])
def test_a_folder_that_cannot_be_written(path):
    with pytest.raises(UserError, match=rf"cannot write {path} .*: choose another folder with --run_dir"):
        take(files.Path(path))


# The commands.


@pytest.mark.parametrize("command", ["fit", "resumed fit", "diagram", "theory", "sweep"])
def test_every_command_refuses_a_folder_in_use(command, grok, small_mnist, tmp_path, hold):
    folder = tmp_path / "folder"
    words = {
        "fit": ["fit", *small_mnist, "--run_dir", folder],
        "diagram": [
            "diagram", "--config", ROOT / "configs/figures/figure6b_small.yaml", "--folder", folder, "--device=cpu",
        ],
        "theory": ["theory", "--config", ROOT / "configs/theory_addition.yaml", "--folder", folder],
        "sweep": ["sweep", tmp_path / "sweep.yaml", "--folder", folder],
    }  # fmt: skip
    words["resumed fit"] = [*words["fit"], "--ckpt_path=last"]
    if command == "resumed fit":
        assert grok(*words["fit"])[0] == 0
    if command == "sweep":
        base = ["grok", "fit", "--config", str(ROOT / "configs/toy_addition.yaml"), "--trainer.max_steps=1", "${args}"]
        sweep = {"command": base, "method": "grid", "parameters": {"model.decoder.lr": {"value": 0.001}}}
        (tmp_path / "sweep.yaml").write_text(json.dumps(sweep))
    hold(folder)
    before = sorted(path.name for path in folder.iterdir())
    status, out, err = grok(*words[command])
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    option = "--run_dir" if "fit" in command else "--folder"
    assert line.startswith(f"grok: error: another command, or a run that it left behind, uses {folder}: wait")
    assert line.endswith(f"choose another folder with {option}")
    assert sorted(path.name for path in folder.iterdir()) == before


def test_reading_commands_need_no_lock(grok, small_mnist, tmp_path, hold):
    options = [*small_mnist, "--run_dir", tmp_path / "run"]
    assert grok("fit", *options)[0] == 0
    hold(tmp_path / "run")
    status, _, err = grok("validate", *options, "--ckpt_path=last")
    assert (status, err) == (0, "")
