"""The runs of a sweep as `grok fit` processes, several at a time."""

import os
import subprocess
import time
from collections import deque
from collections.abc import Callable

from grokking_pl.cores import cores
from grokking_pl.experiments import as_argument
from grokking_pl.runs.job import GROK
from grokking_pl.sweeps.sweep_folder import SweepFolder

SECONDS_BETWEEN_LOOKS = 0.1


def run_processes(
    folder: SweepFolder, numbers: list[int], jobs: int, lock: int, ended: Callable[[int, int], None]
) -> None:
    """Train runs, each from its last checkpoint if there is one.

    A failing run does not end the others. If this process is stopped, so are the runs, after writing a checkpoint.

    Args:
        folder: folder of the sweep.
        numbers: numbers of the runs to train.
        jobs: number of runs at a time.
        lock: file descriptor of the folder's lock, which the runs also hold as long as they live.
        ended: called with the number and exit status of each finished run.
    """
    environment = {
        "OMP_NUM_THREADS": str(max(1, cores() // jobs)),
        "WANDB_MODE": "disabled",
        **{name: value for name, value in os.environ.items() if name not in ("WANDB_SWEEP_ID", "WANDB_RUN_ID")},
    }
    waiting = deque(numbers)
    running: dict[int, subprocess.Popen[bytes]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                number = waiting.popleft()
                running[number] = _start(folder, number, lock, environment)
            time.sleep(SECONDS_BETWEEN_LOOKS)
            for number, process in list(running.items()):
                if process.poll() is not None:
                    del running[number]
                    ended(number, process.returncode)
    finally:
        for process in running.values():
            process.terminate()
        for number, process in running.items():
            ended(number, process.wait())


def _start(folder: SweepFolder, number: int, lock: int, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    run = folder.run(number)
    parameters = [as_argument(path, value) for path, value in folder.runs[number].items()]
    words = [*folder.sweep.arguments, *parameters, f"--run_dir={run.path}", "--ckpt_path=auto"]
    with open(folder.log(number), "ab") as log:
        # In its own session a run gets no Ctrl-C from the terminal; this process stops it, once.
        return subprocess.Popen(
            [*GROK, "fit", *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock,) if os.name == "posix" else (),
            start_new_session=True,
        )
