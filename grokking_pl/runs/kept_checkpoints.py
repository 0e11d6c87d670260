"""Checkpoints kept in addition to the last one, one file per step."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

PER_DECADE = 10


@dataclass(frozen=True)
class KeptCheckpoints:
    """The folder ``checkpoints/`` of a run; ``step_00000100.ckpt`` is the checkpoint of step 100.

    Args:
        path: the folder.
    """

    path: Path

    def file(self, step: int) -> Path:
        """The file of a step."""
        return self.path / f"step_{step:08d}.ckpt"

    def steps(self) -> list[int]:
        """The steps of the kept checkpoints, ascending."""
        names = (re.fullmatch(r"step_(\d{8,})\.ckpt", path.name) for path in self.path.glob("step_*.ckpt"))
        return sorted(int(name[1]) for name in names if name)

    def remove_after(self, step: int) -> None:
        """Remove checkpoints of later steps, which are from another run or will be trained again."""
        for later in self.steps():
            if later > step:
                self.file(later).unlink(missing_ok=True)


def is_log_spaced(step: int) -> bool:
    """Whether a step is 0 or one of ten per decade, evenly spaced on a logarithmic axis.

    It does not depend on the last step, so a run that is trained further keeps the same steps.

    >>> [step for step in range(130) if is_log_spaced(step)]
    [0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 63, 79, 100, 126]
    """
    if step == 0:
        return True
    place = round(PER_DECADE * math.log10(step))
    return step == round(10 ** (place / PER_DECADE))
