"""Atomic files, and folders locked by one command at a time."""

import contextlib
import csv
import errno
import io
import json
import math
import os
import re
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from grokking_pl.errors import UserError

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Errors of file systems without locks, such as some network file systems."""

RESUME_ADVICE = "make room, then resume from the last checkpoint with --ckpt_path last"
"""Advice if a run could not write."""

TEMPORARY = re.compile(r"\..*\.\d+\.tmp(\.\w+)?")
"""Names of temporary files."""

# Files.


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A new file that replaces ``path`` when the block ends, so that half of it is never seen.

    If the block fails, the previous file is kept.

    Raises:
        OSError: the disk is full, or the folder is missing or not writable.
    """
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Like `atomic_file`, for writers that open the file themselves; it has the suffix of ``path``."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file by `atomic_file`."""
    with atomic_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV file by `atomic_file`; missing values are empty cells."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue())


def whole_lines(path: Path) -> str:
    """The text of a file without half a line at its end, which a process killed while writing leaves.

    Raises:
        UnicodeDecodeError: the file is not text.
    """
    text = path.read_bytes()
    whole, half = text[: text.rfind(b"\n") + 1], text[text.rfind(b"\n") + 1 :]
    if not half.decode().isprintable():
        raise UnicodeDecodeError("utf-8", half, 0, len(half), "control characters")
    return whole.decode()


def write_arrays(path: Path, **arrays: Any) -> None:
    """Write a compressed ``.npz`` file by `atomic_file`."""
    with atomic_file(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def is_whole_archive(path: Path) -> bool:
    """Whether every member of a ``.npz`` file or checkpoint has the right checksum.

    NumPy and torch do not check.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, EOFError, ValueError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return False


def save_figure(figure: Any, path: Path) -> None:
    """Write a matplotlib figure by `atomic_file`, in the format of the suffix, reproducibly.

    By default, SVG files contain the date and random ids.
    """
    from matplotlib import rc_context  # takes a second to import

    metadata = {"Date": None} if path.suffix == ".svg" else None
    with atomic_file(path) as file, rc_context({"svg.hashsalt": path.name}):
        figure.savefig(file, format=path.suffix[1:], dpi=150, metadata=metadata)


def json_text(value: Any) -> str:
    """Format a value as valid JSON, with null for NaN and infinity."""
    return json.dumps(_with_finite_numbers(value), indent=2, allow_nan=False) + "\n"


def _with_finite_numbers(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _with_finite_numbers(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_finite_numbers(item) for item in value]
    return value


def remove_temporary_files(folder: Path) -> None:
    """Remove temporary files of killed processes from a folder in which no other process is writing."""
    for path in folder.rglob(".*.tmp*"):
        if TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


@contextmanager
def writing(path: Path, advice: str) -> Iterator[None]:
    """Turn errors of a full disk or missing folder into a `UserError`.

    Args:
        path: file being written.
        advice: advice for the user.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:  # torch.save raises the latter
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise UserError(f"cannot write {path} ({reason}): {advice}") from None


# Folders.


class FolderLock:
    """Lock a folder for one command, from ``with`` to the end of the block or of the process.

    A folder that was created for it, and in which nothing was written, is removed at the end of the block.

    The operating system releases the lock of a killed process. Child processes that inherit ``descriptor`` keep the
    lock as long as they live.

    Args:
        folder: folder to lock; created if missing.
        option: option with which the user chooses another folder.
        is_first: whether this is the first process of its job, which takes the lock for all.

    Attributes:
        is_new: whether the folder was created for the lock.
    """

    def __init__(self, folder: Path, option: str, is_first: bool = True) -> None:
        self._folder = folder
        self._is_first = is_first
        self._advice = f"choose another folder with {option}"
        self._file: IO[str] | None = None
        self.is_new = False

    def __enter__(self) -> "FolderLock":
        """Take the lock.

        Raises:
            UserError: another command uses the folder, or it is not writable.
        """
        if not self._is_first:
            return self
        with writing(self._folder, self._advice):
            self.is_new = not self._folder.exists()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = open(self._folder / LOCK, "a")
            try:
                _lock(self._file)
            except BlockingIOError:
                self._file.close()
                raise UserError(
                    f"another command, or a run that it left behind, uses {self._folder}: wait until it ends, or "
                    f"{self._advice}"
                ) from None
            except OSError as error:
                if error.errno not in WITHOUT_LOCKS:
                    self._file.close()
                    raise
                print(
                    f"{self._folder} cannot be locked ({error.strerror}): start no other command in it until this one "
                    "ends",
                    file=sys.stderr,
                )
        return self

    def __exit__(self, *error: object) -> None:
        """Release the lock."""
        if self._file:
            if self.is_new:
                self._remove_if_empty()
            self._file.close()

    def _remove_if_empty(self) -> None:
        with contextlib.suppress(OSError):
            if [path.name for path in self._folder.iterdir()] == [LOCK]:
                (self._folder / LOCK).unlink()
                self._folder.rmdir()

    @property
    def descriptor(self) -> int:
        """The file descriptor that holds the lock."""
        assert self._file, "the lock is not taken"
        return self._file.fileno()


def _lock(file: IO[str]) -> None:
    if fcntl is None:
        raise OSError(errno.ENOSYS, "this system has no fcntl")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def claim_folder(record: Path, description: Mapping[str, Any], content: str, option: str) -> None:
    """Record the purpose of a folder, or check that the recorded one is the same.

    Args:
        record: JSON file in the folder that records it.
        description: purpose of the folder.
        content: its name, as in "diagram".
        option: option with which the user chooses another folder.

    Raises:
        UserError: the folder has another purpose, or the record cannot be read or written.
    """
    described = json.loads(json_text(description))
    try:
        recorded = dict(json.loads(record.read_text()))
    except FileNotFoundError:
        with writing(record, f"choose another folder with {option}"):
            record.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(record, json_text(described))
        return
    except (OSError, ValueError, TypeError):
        raise UserError(
            f"{record} cannot be read: choose another folder with {option}, or delete {record.parent}"
        ) from None
    differing = [name for name, value in described.items() if name not in recorded or recorded[name] != value]
    if differing:
        raise is_taken(record.parent, f"another {content} ({', '.join(differing)} differ)", option)


def is_taken(folder: Path, content: str, option: str, alternative: str = "") -> UserError:
    """The error for a folder whose content must not be overwritten.

    Args:
        folder: the folder.
        content: its content.
        option: option with which the user chooses another folder.
        alternative: what else the user can do, mentioned first.
    """
    other = f"{alternative}, choose" if alternative else "choose"
    return UserError(f"{folder} holds {content}: {other} another folder with {option}, or delete this one")
