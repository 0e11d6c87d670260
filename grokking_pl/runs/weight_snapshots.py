"""Snapshots of a network's weights: one compressed file per step, nothing kept in memory."""

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from grokking_pl.runs.files import RESUME_ADVICE, atomic_path, write_arrays, writing


@dataclass(frozen=True)
class WeightSnapshots:
    """The folder ``weights/`` of a run; ``step_00000100.npz`` holds the weights at step 100, by name.

    Args:
        path: the folder.
    """

    path: Path

    def file(self, step: int) -> Path:
        """The file of a step."""
        return self.path / f"step_{step:08d}.npz"

    def write(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Write the weights at a step, atomically.

        Raises:
            UserError: the disk is full or the folder is not writable.
        """
        with writing(self.file(step), RESUME_ADVICE):
            self.path.mkdir(parents=True, exist_ok=True)
            write_arrays(self.file(step), **{name: _as_array(value) for name, value in weights.items()})

    def read(self, step: int) -> dict[str, Tensor]:
        """Read the weights at a step, on the CPU; half precision is converted to single.

        Raises:
            OSError: the file does not exist.
        """
        with np.load(self.file(step)) as file:
            return {name: torch.from_numpy(file[name]) for name in file}

    def steps(self) -> list[int]:
        """The steps with weights, ascending."""
        names = [re.fullmatch(r"step_(\d{8,})", file.stem) for file in self.path.glob("step_*.npz")]
        return sorted(int(name[1]) for name in names if name)

    def keep_only(self, steps: Iterable[int]) -> None:
        """Remove the weights at all other steps, which are from another run or will be trained again."""
        for step in set(self.steps()) - set(steps):
            self.file(step).unlink()

    def take_from(self, other: "WeightSnapshots", steps: Iterable[int]) -> list[int]:
        """Copy missing weights from another run's folder; return the steps missing in both."""
        missing = []
        for step in set(steps) - set(self.steps()):
            if other.file(step).exists():
                with writing(self.file(step), RESUME_ADVICE):
                    self.path.mkdir(parents=True, exist_ok=True)
                    with atomic_path(self.file(step)) as temporary:
                        shutil.copyfile(other.file(step), temporary)
            else:
                missing.append(step)
        return sorted(missing)


def _as_array(weight: Tensor) -> np.ndarray:
    """Convert a weight to NumPy, which has no bfloat16."""
    dtype = torch.promote_types(weight.dtype, torch.float32) if weight.is_floating_point() else weight.dtype
    return weight.detach().to("cpu", dtype).numpy()
