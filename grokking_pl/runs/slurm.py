"""SLURM jobs: requeueing before the time limit, so that the next job resumes the run."""

import os
import signal
import subprocess
import sys

import lightning.pytorch as pl
from lightning.pytorch.plugins.environments import SLURMEnvironment


def requeue_signal(trainer: pl.Trainer) -> signal.Signals | None:
    """The signal that announces the end of this job; None outside SLURM or if requeueing is off."""
    if not SLURMEnvironment.detect():
        return None
    environment = getattr(trainer.strategy, "cluster_environment", None)
    if not isinstance(environment, SLURMEnvironment):
        return signal.SIGUSR1
    return environment.requeue_signal if environment.auto_requeue else None


def requeue_job() -> None:
    """Ask SLURM to requeue this job, or this task of a job array."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"]
    try:
        failed = subprocess.call(["scontrol", "requeue", job]) != 0
    except FileNotFoundError:
        failed = True
    outcome = "could not be requeued: submit it again" if failed else "is requeued"
    print(f"SLURM job {job} {outcome}", file=sys.stderr, flush=True)


def is_requeued() -> bool:
    """Whether this job was requeued."""
    return int(os.environ.get("SLURM_RESTART_COUNT") or 0) > 0
