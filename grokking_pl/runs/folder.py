"""The folder of a run: where each of its files is, and what state they say the run is in."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grokking_pl.errors import UserError


@dataclass(frozen=True)
class RunFolder:
    """The files of one run. All are readable with standard tools.

    Args:
        path: the folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The full configuration, from which the run can be repeated."""
        return self.path / "config.yaml"

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def metrics(self) -> Path:
        """All logged metrics, a row a step."""
        return self.path / "metrics.csv"

    @property
    def summary(self) -> Path:
        """The outcome of the run."""
        return self.path / "summary.json"

    def read_summary(self) -> dict[str, Any]:
        """The outcome of the run; empty if there is none."""
        try:
            return json.loads(self.summary.read_text())
        except (OSError, json.JSONDecodeError):
            return {}

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write the outcome of the run, atomically."""
        temporary = self.summary.with_suffix(".tmp")
        temporary.write_text(json.dumps(summary, indent=2) + "\n")
        os.replace(temporary, self.summary)

    def holds_unfinished(self) -> bool:
        """Whether it holds a run that can go on from a checkpoint."""
        return self.checkpoint.exists() and self.read_summary().get("status") != "finished"

    def claim(self, resuming: bool) -> None:
        """Make the folder for a new run, or see that it can be written to.

        A run that ended before its first checkpoint has nothing to lose: its folder is taken over.

        Raises:
            UserError: it holds another run, or it cannot be written.
        """
        summary = self.read_summary()
        if not resuming and summary.get("status") == "finished":
            found = f"a finished run ({summary.get('phase', 'done')})"
            raise UserError(f"{self.path} holds {found}: choose another folder with --run_dir, or delete this one")
        if not resuming and self.checkpoint.exists():
            raise UserError(
                f"{self.path} holds an unfinished run: resume it with --ckpt_path last, choose another folder with "
                "--run_dir, or delete this one"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = self.path / ".probe"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UserError(
                f"cannot write to the run folder {self.path} ({error.strerror}): choose another with --run_dir"
            ) from None
