"""The folder of a run: paths of its files, and the state of the run."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grokking_pl.runs.files import RESUME_ADVICE, is_taken, json_text, write_atomically, writing

LEFT_BY_FAILED_START = (".lock", "error.log")
"""Files left by a command that trained nothing."""


@dataclass(frozen=True)
class RunFolder:
    """The files of a run, all readable with standard tools.

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
        """All logged metrics, one row per step."""
        return self.path / "metrics.csv"

    @property
    def measures(self) -> Path:
        """Measurements of kept checkpoints after training, one row per step."""
        return self.path / "measures.csv"

    @property
    def summary(self) -> Path:
        """The outcome of the run."""
        return self.path / "summary.json"

    @property
    def settings_history(self) -> Path:
        """Settings changed when resuming, each with the step from which it applies."""
        return self.path / "settings_history.json"

    @property
    def predictions(self) -> Path:
        """Predictions for the validation set, one row per sample."""
        return self.path / "predictions.csv"

    @property
    def weights(self) -> Path:
        """The folder of the weights at chosen steps."""
        return self.path / "weights"

    def read_summary(self) -> dict[str, Any]:
        """Read the outcome of the run; empty if there is none or it is unreadable."""
        try:
            summary = json.loads(self.summary.read_text())
        except (OSError, ValueError, RecursionError):
            return {}
        return summary if isinstance(summary, dict) else {}

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write the outcome of the run.

        Raises:
            UserError: the disk is full or the folder is gone.
        """
        with writing(self.summary, RESUME_ADVICE):
            write_atomically(self.summary, json_text(summary))

    def check_free(self) -> None:
        """Check that a new run would overwrite none; runs without a checkpoint may be overwritten.

        Raises:
            UserError: the folder holds another run.
        """
        summary = self.read_summary()
        if summary.get("status") == "finished":
            raise is_taken(
                self.path, f"a finished run ({summary.get('phase', 'done')})", "--run_dir",
                "train it further with --ckpt_path last and a larger --trainer.max_steps",
            )  # fmt: skip
        if self.checkpoint.exists():
            raise is_taken(self.path, "an unfinished run", "--run_dir", "resume it with --ckpt_path last")

    def check_not_rewound(self, checkpoint: Path) -> None:
        """Check that a finished run does not lose its end by resuming from an earlier checkpoint.

        Raises:
            UserError: the run is finished, and the checkpoint is not its last one.
        """
        if self.read_summary().get("status") == "finished" and checkpoint.resolve() != self.checkpoint.resolve():
            raise is_taken(
                self.path, f"a finished run, whose last checkpoint is not {checkpoint.name}", "--run_dir",
                "train it further with --ckpt_path last",
            )  # fmt: skip

    def check_empty(self) -> None:
        """Check that a run started from another run's checkpoint has an empty folder.

        Raises:
            UserError: the folder holds files.
        """
        self.check_free()
        held = sorted(path.name for path in self.path.iterdir() if path.name not in LEFT_BY_FAILED_START)
        if held:
            raise is_taken(self.path, f"{held[0]}, but the checkpoint is from another run", "--run_dir")
