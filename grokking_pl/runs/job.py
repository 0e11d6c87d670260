"""The processes of a job: this one's rank before Lightning connects them, and how to start others."""

import os
import sys
from pathlib import Path

import grokking_pl
from grokking_pl.errors import UserError

GROK = [sys.executable, str(Path(grokking_pl.__file__).with_name("__main__.py"))]
"""The ``grok`` command for subprocesses, by file: ``-m`` would import from the working directory first."""

RANKS = ("RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK", "OMPI_COMM_WORLD_RANK", "NODE_RANK", "GROUP_RANK", "LOCAL_RANK")
"""Rank variables of torchrun, SLURM, LSF, MPI and Lightning: all 0 or absent only in the first process."""


def is_first_process() -> bool:
    """Whether this process has global rank 0 (or is the only one) and so writes the job's files."""
    return all(int(os.environ.get(name) or 0) == 0 for name in RANKS)


def check_nodes(option: str, num_nodes: int | None) -> None:
    """Raise a `UserError` if a process that was started alone is to be one of several nodes', which it would wait for.

    Args:
        option: name of the option, for the message.
        num_nodes: number of nodes; None for the launcher's.
    """
    if num_nodes is None or num_nodes < 2 or any(name in os.environ for name in (*RANKS, "MASTER_ADDR")):
        return
    from lightning.fabric.plugins.environments import MPIEnvironment  # imported here because it takes seconds

    if not MPIEnvironment.detect():
        raise UserError(
            f"{option} is {num_nodes}, but no launcher started this process: start it on every node with torchrun or "
            "SLURM's srun, or set MASTER_ADDR, MASTER_PORT and NODE_RANK there"
        )
