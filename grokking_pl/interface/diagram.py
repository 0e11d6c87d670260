"""A diagram on disk as an object: its grid, the results of its runs, their curves and its figure."""

import io
import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from grokking_pl.errors import UserError
from grokking_pl.interface.notebook import shown, table
from grokking_pl.metrics.crossings import further_columns
from grokking_pl.plots.diagram_figure import diagram_figure
from grokking_pl.report.run_results import corrupt
from grokking_pl.report.writing import write_report
from grokking_pl.runs.diagram_folder import DiagramFolder


@dataclass(frozen=True)
class Diagram:
    """A diagram of ``grok diagram``, read from its folder when first asked for; `reload` reads it anew.

    Args:
        path: the folder.
    """

    path: Path

    @cached_property
    def description(self) -> dict[str, Any]:
        """What it is a diagram of, as in ``diagram.json``: base, axes, seeds, steps and the options of the phases.

        Raises:
            UserError: the file is corrupt.
        """
        record = self.path / "diagram.json"
        try:
            description: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
            if not {"axes", "seeds", "steps", "phase"} <= {*description}:
                raise ValueError
        except (OSError, ValueError, TypeError):
            raise corrupt(record, "it describes no grid") from None
        return description

    @property
    def axes(self) -> dict[str, list[Any]]:
        """The values on each axis, by its name, which is a column of `runs`."""
        axes: dict[str, list[Any]] = self.description["axes"]
        return axes

    @property
    def seeds(self) -> list[int]:
        """The seeds with which every cell is trained."""
        seeds: list[int] = self.description["seeds"]
        return seeds

    @cached_property
    def _folder(self) -> DiagramFolder:
        further = further_columns(self.description["phase"].get("further_thresholds"))
        return DiagramFolder(self.path, self.axes, self.seeds, further=further)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per run that has ended: its axes and seed, phase and results; as in ``runs.csv``.

        Raises:
            UserError: the table is damaged.
        """
        return _frame(self._folder, "runs", self._folder.columns)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row per run and measured step, as in ``curves.csv``; empty if the diagram keeps none.

        Raises:
            UserError: the table is damaged.
        """
        return _frame(self._folder, "curves", self._folder.curve_columns)

    @property
    def finished(self) -> bool:
        """Whether all runs have ended."""
        return len(self.runs) == math.prod(len(values) for values in (*self.axes.values(), self.seeds))

    @property
    def summary(self) -> dict[str, Any]:
        """How many runs have come to which phase, and how many steps each had at most."""
        phases = {str(phase): count for phase, count in self.runs["phase"].value_counts().items()}
        return {**phases, "runs": len(self.runs), "steps": self.description["steps"]}

    def figure(self) -> Figure:
        """The phases of all cells.

        Raises:
            UserError: no run has ended, or a table is damaged.
        """
        if self.runs.empty:
            raise UserError(f"no run of the diagram in {self.path} has ended yet: train it with grok diagram first")
        return shown(diagram_figure(self.runs, list(self.axes), self.description.get("labels", {})))

    def report(self, output: str | Path | None = None) -> Path:
        """Write the diagram as one HTML file to explore; its path.

        Args:
            output: the file; None for ``report.html`` in the folder.

        Raises:
            UserError: no run has ended, a file is corrupt, or the report cannot be written.
        """
        return write_report(self.path, None if output is None else Path(output))

    def reload(self) -> "Diagram":
        """The diagram as its folder is now."""
        return Diagram(self.path)

    def __repr__(self) -> str:
        return f"Diagram({str(self.path)!r}, {len(self.runs)} runs over {', '.join(self.axes)})"

    def _repr_html_(self) -> str:
        return table({"diagram": self.path, **self.summary})


def _frame(folder: DiagramFolder, name: str, columns: list[str]) -> pd.DataFrame:
    """A table and its parts, each run once, in the order of their numbers."""
    lines = {}
    for index, row, line in folder.rows(name, columns):
        step = int(row[columns.index("step")]) if "step" in columns else 0
        lines[index, step] = line
    header = pd.DataFrame(columns=columns).to_csv(index=False)
    return pd.read_csv(io.StringIO(header + "".join(lines[key] for key in sorted(lines))))
