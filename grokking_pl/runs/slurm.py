"""Jobs of SLURM that are told before their time ends: to be queued again, so that the next resumes the run."""

import os
import signal
import subprocess
import sys

import lightning.pytorch as pl
from lightning.pytorch.plugins.environments import SLURMEnvironment


def requeue_signal(trainer: pl.Trainer) -> signal.Signals | None:
    """The signal that announces the end of this job; None outside SLURM, or where the user turned requeueing off."""
    if not SLURMEnvironment.detect():
        return None
    environment = getattr(trainer.strategy, "cluster_environment", None)
    if not isinstance(environment, SLURMEnvironment):
        return signal.SIGUSR1
    return environment.requeue_signal if environment.auto_requeue else None


def requeue_job() -> None:
    """Ask SLURM to queue this job, or this task of an array of jobs, again."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"]
    try:
        failed = subprocess.call(["scontrol", "requeue", job]) != 0
    except FileNotFoundError:
        failed = True
    outcome = "could not be queued again: submit it once more" if failed else "is queued again"
    print(f"SLURM job {job} {outcome}", file=sys.stderr, flush=True)


def is_requeued() -> bool:
    """Whether this job has run before."""
    return int(os.environ.get("SLURM_RESTART_COUNT") or 0) > 0
