"""The one seed of a run."""

import os


def global_seed() -> int:
    """The seed of ``seed_everything``, or 0 where none was set."""
    return int(os.environ.get("PL_GLOBAL_SEED", "0"))
