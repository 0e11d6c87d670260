"""Checkpoints are whole or absent, and what is no checkpoint is an error that says so."""

import pytest
import torch

from grokking_pl.errors import UserError
from grokking_pl.runs import SafeCheckpointIO

CHECKPOINT = {"state_dict": {"weight": torch.arange(3.0)}, "global_step": 7}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoints/last.ckpt"


def test_round_trip(path):
    SafeCheckpointIO().save_checkpoint(CHECKPOINT, path)
    loaded = SafeCheckpointIO().load_checkpoint(path)
    assert loaded["global_step"] == 7
    assert torch.equal(loaded["state_dict"]["weight"], torch.arange(3.0))
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("file write failed")])
def test_failed_write_keeps_the_previous_checkpoint(path, monkeypatch, error):
    SafeCheckpointIO().save_checkpoint(CHECKPOINT, path)
    before = path.read_bytes()

    def save(checkpoint, file):
        file.write(before[:100])
        raise error

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(UserError, match=r"cannot write .*last\.ckpt"):
        SafeCheckpointIO().save_checkpoint(CHECKPOINT, path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_process_killed_while_writing_keeps_the_previous_checkpoint(path, monkeypatch):
    SafeCheckpointIO().save_checkpoint(CHECKPOINT, path)
    before = path.read_bytes()

    def save(checkpoint, file):
        file.write(before[:100])
        raise KeyboardInterrupt  # passes every handler, as the end of a process does

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(KeyboardInterrupt):
        SafeCheckpointIO().save_checkpoint(CHECKPOINT, path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    SafeCheckpointIO().save_checkpoint(CHECKPOINT | {"global_step": 8}, path)
    assert SafeCheckpointIO().load_checkpoint(path)["global_step"] == 8
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


class Code:
    def __reduce__(self):
        return print, ("code in a checkpoint was run",)


def test_pickled_code_is_not_run(path, capsys):
    path.parent.mkdir()
    torch.save({"state_dict": {}, "code": Code()}, path)
    with pytest.raises(UserError, match="is not a checkpoint, or is corrupt"):
        SafeCheckpointIO().load_checkpoint(path)
    assert "was run" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"hello", bytes(1000)])
def test_no_checkpoint(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"last\.ckpt is not a checkpoint"):
        SafeCheckpointIO().load_checkpoint(path)


def test_cut_checkpoint(path):
    SafeCheckpointIO().save_checkpoint(CHECKPOINT, path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"last\.ckpt is not a checkpoint"):
        SafeCheckpointIO().load_checkpoint(path)


@pytest.mark.parametrize("content", [[1, 2], {"weight": torch.zeros(2)}])
def test_file_of_something_else(path, content):
    path.parent.mkdir()
    torch.save(content, path)
    with pytest.raises(UserError, match="has no state_dict"):
        SafeCheckpointIO().load_checkpoint(path)


def test_no_file(path):
    with pytest.raises(UserError, match="does not exist"):
        SafeCheckpointIO().load_checkpoint(path)
