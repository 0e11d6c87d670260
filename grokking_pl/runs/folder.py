"""The folder of a run: where each of its files is, and what state they say the run is in."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grokking_pl.runs.files import RESUME_ADVICE, is_taken, json_text, write_atomically, writing

LEFT_BY_FAILED_START = (".lock", "error.log")
"""What a command that trained nothing leaves in its folder."""


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
        """All logged metrics, one row per step."""
        return self.path / "metrics.csv"

    @property
    def measures(self) -> Path:
        """What kept checkpoints were measured to be after training, one row per step."""
        return self.path / "measures.csv"

    @property
    def summary(self) -> Path:
        """The outcome of the run."""
        return self.path / "summary.json"

    @property
    def settings_history(self) -> Path:
        """Which settings have changed while the run went on, each with the step from which it held."""
        return self.path / "settings_history.json"

    @property
    def predictions(self) -> Path:
        """A prediction for each sample of the validation set, one row per sample."""
        return self.path / "predictions.csv"

    @property
    def weights(self) -> Path:
        """The folder of the weights at chosen steps."""
        return self.path / "weights"

    def read_summary(self) -> dict[str, Any]:
        """The outcome of the run; empty if there is none that can be read."""
        try:
            summary = json.loads(self.summary.read_text())
        except (OSError, ValueError, RecursionError):
            return {}
        return summary if isinstance(summary, dict) else {}

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write the outcome of the run.

        Raises:
            UserError: the disk is full or the folder has gone.
        """
        with writing(self.summary, RESUME_ADVICE):
            write_atomically(self.summary, json_text(summary))

    def holds_unfinished(self) -> bool:
        """Whether it holds a run that can be resumed from a checkpoint."""
        return self.checkpoint.exists() and self.read_summary().get("status") != "finished"

    def check_free(self) -> None:
        """See that a new run would overwrite none. One that ended before its first checkpoint has nothing to lose.

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
        """See that a finished run does not lose its end to one that goes on from an earlier checkpoint.

        Raises:
            UserError: the run is finished, and the checkpoint is not its last one.
        """
        if self.read_summary().get("status") == "finished" and checkpoint.resolve() != self.checkpoint.resolve():
            raise is_taken(
                self.path, f"a finished run, whose last checkpoint is not {checkpoint.name}", "--run_dir",
                "train it further with --ckpt_path last",
            )  # fmt: skip

    def check_empty(self) -> None:
        """See that a run that begins from another's checkpoint would be mixed with nothing.

        Raises:
            UserError: the folder holds files.
        """
        self.check_free()
        held = sorted(path.name for path in self.path.iterdir() if path.name not in LEFT_BY_FAILED_START)
        if held:
            raise is_taken(self.path, f"{held[0]}, and the checkpoint is another run's", "--run_dir")
