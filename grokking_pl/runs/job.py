"""The processes of a job: this one's rank before Lightning connects them, and how to start others."""

import os
import sys
from pathlib import Path

import grokking_pl

GROK = [sys.executable, str(Path(grokking_pl.__file__).with_name("__main__.py"))]
"""The ``grok`` command for subprocesses, by file: ``-m`` would import from the working directory first."""

RANKS = ("RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK", "OMPI_COMM_WORLD_RANK", "NODE_RANK", "GROUP_RANK", "LOCAL_RANK")
"""Rank variables of torchrun, SLURM, LSF, MPI and Lightning: all 0 or absent only in the first process."""


def is_first_process() -> bool:
    """Whether this process has global rank 0 (or is the only one) and so writes the job's files."""
    return all(int(os.environ.get(name) or 0) == 0 for name in RANKS)
