"""The processes that a process has started, as Linux tells them, without programs that a machine may lack."""

from pathlib import Path


def children(pid: int) -> list[int]:
    """Their numbers, in order."""
    return sorted(int(entry.parent.name) for entry in Path("/proc").glob("[0-9]*/stat") if _parent(entry) == pid)


def _parent(entry: Path) -> int | None:
    try:
        # The program's name, in brackets, may hold anything; state and parent follow it.
        return int(entry.read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has ended
        return None
