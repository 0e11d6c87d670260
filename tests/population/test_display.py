"""What a diagram shows of its progress, in terminals of several widths and in a file."""

import fcntl
import os
import pty
import re
import struct
import sys
import termios
import traceback
from collections import Counter

import pytest

from grokking_pl.population import display
from grokking_pl.population.display import DiagramProgress
from grokking_pl.population.observation import Observed
from grokking_pl.population.outcome import Outcome, Report

TOTAL = 123_456
PHASES = {"comprehension": 10_001, "grokking": 10_002, "memorization": 10_003, "confusion": 10_004}
COUNTS = " · ".join(f"{phase} {count}" for phase, count in PHASES.items())


def show_progress(label="runs"):
    """A diagram that had runs before, in which some end and others are on their way."""
    progress = DiagramProgress(TOTAL, Counter(PHASES), 100_000, label)
    outcomes = [Outcome(n, None, None, 0.0, 0.0, 100, Observed()) for n in range(2)]
    progress.update(Report("worker", 30_000, 10.0, outcomes, [100] * 3000), ["comprehension", "confusion"])
    progress.close()


def on_terminal(columns, label):
    """The lines that a terminal shows, one after another."""
    child, terminal = pty.fork()
    if child == 0:
        status = 1
        try:
            os.environ.pop("COLUMNS", None)
            os.environ["TERM"] = "xterm"
            fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
            sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
            show_progress(label)
            sys.stderr.flush()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    shown = b""
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:  # Linux's way to say that nothing writes there any more
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, shown.decode()
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).replace("\r", "\n").split("\n")
    return [line.rstrip() for line in lines if line.strip()]


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_counts_and_time_fit_into_a_terminal(columns):
    *_, line, phases = on_terminal(columns, "runs")
    assert re.match(r"runs +40012/123456 ━+.*━ about .* left · 3,000 steps/s$", line)
    assert phases == "comprehension 10002 · grokking 10002 · memorization 10003 · confusion 10005"
    assert max(len(line), len(phases)) <= columns


def test_a_narrow_terminal_keeps_the_counts():
    lines = on_terminal(60, "runs of process 1 of 16")
    (line,) = [line for line in lines if " 40012/123456 " in line]
    assert line.startswith("runs of process 1 of 16 ")
    assert max(map(len, lines)) <= 60


def test_lines_in_a_file(monkeypatch, capsys):
    monkeypatch.setattr(display, "FIRST_LINE_SECONDS", 0.0)
    show_progress()
    (line,) = capsys.readouterr().err.splitlines()
    counts = COUNTS.replace("10001", "10002").replace("10004", "10005")
    assert re.fullmatch(rf"runs 40012/123456 · {counts} · about .* left · 3,000 steps/s", line)
