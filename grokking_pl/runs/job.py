"""Which of a job's processes this one is, before Lightning has connected them."""

import os

RANKS = ("RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK", "OMPI_COMM_WORLD_RANK", "NODE_RANK", "GROUP_RANK", "LOCAL_RANK")
"""Where torchrun, SLURM, LSF, MPI and Lightning itself say it: all are 0, or absent, in the first process alone."""


def is_first_process() -> bool:
    """Whether this process has global rank 0, and so writes the job's files; a process by itself does."""
    return all(int(os.environ.get(name) or 0) == 0 for name in RANKS)
