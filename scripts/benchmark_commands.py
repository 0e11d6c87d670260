"""The sections on memory and waiting of ``benchmark.py``: whole commands, each in its own process."""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
GROK = [sys.executable, "-m", "grokking_pl"]
LIGHTNING = [sys.executable, "-c", "import lightning.pytorch"]
SLOW_IMPORT = 0.2
"""Seconds above which an import is named."""
IMPORT_TIME = re.compile(r"import time: +(?P<microseconds>\d+) \|.*\| +(?P<package>\w+)")
"""A line that Python writes with ``-X importtime``: microseconds of the module itself, with others, and its name."""

MEASURE_MEMORY = """
import os, subprocess, sys
job = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(job.pid, 0)
job.returncode = os.waitstatus_to_exitcode(status)
print(usage.ru_maxrss)
sys.exit(job.returncode)
"""
"""Starts a command and prints its peak memory in KB. A process inherits the peak of its parent, so the parent must be
small."""

FIRST_STEP = """
import sys, time
from lightning.pytorch import Callback

class FirstStep(Callback):
    def on_train_batch_end(self, trainer, *rest):
        if trainer.global_step == 1:
            print("first step at", time.time(), file=sys.stderr)
"""


def memory() -> list[tuple[str, str, str]]:
    """Measure, and return rows of quantity, result and target: the main job, and diagrams of few and many cells."""
    main = peak("fit", "--config=configs/mnist_grok.yaml", "--trainer.max_steps=300")
    few, many = peak_of_diagram(10), peak_of_diagram(100)
    return [
        ("peak memory of the MNIST main job, GB", f"{main:.2f}", "under 1.2"),
        (f"peak memory of a diagram of 10^4 cells, {many:.2f} GB, over one of 100", f"{many / few:.2f}", "at most 1.1"),
    ]


def peak_of_diagram(side: int) -> float:
    """Peak memory in GB of a process that trains side x side small networks for a few steps."""
    axes = {
        "model.decoder.lr": {"scale": "log", "low": 1e-5, "high": 1e-2, "n": side},
        "model.decoder.weight_decay": {"scale": "linear", "low": 0, "high": 10, "n": side},
    }
    return peak(
        "diagram", "--base=configs/toy_addition.yaml", "--set={model.architecture.width: 8}", "--steps=20",
        "--workers=1", "--compile=false", f"--axes={json.dumps(axes)}",
    )  # fmt: skip


def peak(command: str, *options: str) -> float:
    """Peak memory in GB of a command with a folder."""
    option = {"fit": "--run_dir", "diagram": "--folder"}[command]
    with tempfile.TemporaryDirectory() as folder:
        job = [*GROK, command, *options, f"{option}={folder}/run"]
        measured = subprocess.run(
            [sys.executable, "-c", MEASURE_MEMORY, *job], cwd=ROOT, check=True, capture_output=True, text=True
        )
    return int(measured.stdout) / 1024**2


def waiting(repeats: int) -> list[tuple[str, str, str]]:
    """Measure, and return rows of quantity, result and target: for help, a first step, a diagram."""
    rows = []
    for words, aim in ((("--help",), "under 2"), (("fit", "--help"), "under 6")):
        spent = statistics.median(seconds_of([*GROK, *words]) for _ in range(repeats))
        rows.append((f"grok {' '.join(words)}, seconds", f"{spent:.2f}", aim))
    rounds = [(seconds_of(LIGHTNING), seconds_to_first_step(), *seconds_of_diagram()) for _ in range(repeats)]
    for place, (name, aim) in enumerate(
        (
            ("grok fit of the toy to its first step", "at most 1.25"),
            ("grok diagram of figure 6a to its number of runs", "at most 1.25"),
            ("grok diagram of figure 6a to an estimate", ""),
        ),
        start=1,
    ):
        spent = statistics.median(each[place] for each in rounds)
        ratio = statistics.median(each[place] / each[0] for each in rounds)
        rows.append((f"{name}, {spent:.1f} s, over importing lightning.pytorch", f"{ratio:.2f}", aim))
    with tempfile.TemporaryDirectory() as folder:
        return rows + waiting_for_a_run(Path(folder), repeats)


def waiting_for_a_run(folder: Path, repeats: int) -> list[tuple[str, str, str]]:
    """Rows for whole commands on a run of 100 steps: measuring it again, and its figures; and for their imports."""
    runs = [str(folder / f"run_{seed}") for seed in range(2)]
    for seed, run in enumerate(runs):
        seconds_of([*GROK, "fit", "--config=configs/toy_addition.yaml", "--trainer.max_steps=100",
                    f"--seed_everything={seed}", f"--run_dir={run}"])  # fmt: skip
    commands = {
        "grok validate": ["validate", f"--config={runs[0]}/config.yaml", f"--run_dir={runs[0]}"],
        "grok report": ["report", runs[0]],
        "grok compare": ["compare", *runs, f"--output={folder}/comparison.png"],
    }
    rows = []
    for name, words in commands.items():
        rounds = [(seconds_of(LIGHTNING), seconds_of([*GROK, *words])) for _ in range(repeats)]
        spent = statistics.median(ours for _, ours in rounds)
        ratio = statistics.median(ours / importing for importing, ours in rounds)
        rows.append((f"{name} of a short run, {spent:.1f} s, over importing lightning.pytorch", f"{ratio:.2f}", ""))
    for name, words in commands.items():
        slow = {package: spent for package, spent in imports_of(words).items() if spent > SLOW_IMPORT}
        words_of = ", ".join(f"{package} {spent:.1f}" for package, spent in slow.items())
        rows.append((f"{name}: packages that take more than {SLOW_IMPORT} s to import, seconds", words_of, ""))
    return rows


def imports_of(words: list[str]) -> dict[str, float]:
    """Seconds that a command spends in the modules of each package it imports, without those they import in turn."""
    command = [GROK[0], "-X", "importtime", *GROK[1:], *words]
    job = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    spent: Counter[str] = Counter()
    for line in job.stderr.splitlines():
        if found := IMPORT_TIME.match(line):
            spent[found["package"]] += int(found["microseconds"])
    return {package: microseconds / 1e6 for package, microseconds in spent.most_common()}


def seconds_of(command: list[str]) -> float:
    """Seconds that a command takes."""
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - start


def seconds_to_first_step() -> float:
    """Seconds from the start of `grok fit` to the end of its first step."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "first_step.py").write_text(FIRST_STEP)
        command = [*GROK, "fit", "--config=configs/toy_addition.yaml", "--trainer.max_steps=1",
                   f"--run_dir={folder}/run", "--trainer.callbacks+=first_step.FirstStep"]  # fmt: skip
        paths = os.pathsep.join(filter(None, (folder, os.environ.get("PYTHONPATH"))))
        start = time.time()
        job = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": paths}, check=True,
                             capture_output=True, text=True)  # fmt: skip
        (line,) = (line for line in job.stderr.splitlines() if line.startswith("first step at"))
        return float(line.rpartition(" ")[2]) - start


def seconds_of_diagram() -> tuple[float, float]:
    """Seconds from the start of `grok diagram` to its number of runs, and to an estimate; it is stopped then."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*GROK, "diagram", "--config=configs/figures/figure6a.yaml", f"--folder={folder}/d"]
        start = time.perf_counter()
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as job:
            assert job.stderr is not None
            passed = []
            for wanted in ("169 runs", " left"):
                next(line for line in job.stderr if wanted in line)
                passed.append(time.perf_counter() - start)
            job.terminate()
            job.stderr.read()
    number, estimate = passed
    return number, estimate
