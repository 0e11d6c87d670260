"""A job's processes: which of them this one is, before Lightning has connected them, and how others are started."""

import os
import sys
from pathlib import Path

import grokking_pl

GROK = [sys.executable, str(Path(grokking_pl.__file__).with_name("__main__.py"))]
"""The command ``grok`` in a process of its own, by file: ``-m`` would look for modules first where the user works."""

RANKS = ("RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK", "OMPI_COMM_WORLD_RANK", "NODE_RANK", "GROUP_RANK", "LOCAL_RANK")
"""Where torchrun, SLURM, LSF, MPI and Lightning itself say it: all are 0, or absent, in the first process alone."""


def is_first_process() -> bool:
    """Whether this process has global rank 0, and so writes the job's files; a process by itself does."""
    return all(int(os.environ.get(name) or 0) == 0 for name in RANKS)
