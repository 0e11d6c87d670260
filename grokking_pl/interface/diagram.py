"""A diagram on disk as an object: grid, results of its runs, curves and figure."""

import io
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from grokking_pl.errors import UserError
from grokking_pl.interface.notebook import table
from grokking_pl.metrics.crossings import further_columns
from grokking_pl.plots.diagram_figure import diagram_figure
from grokking_pl.report.diagram_results import read_description
from grokking_pl.report.writing import write_report
from grokking_pl.runs.diagram_folder import DiagramFolder, read_marks


@dataclass(frozen=True)
class Diagram:
    """A diagram of `grok diagram`, read lazily from its folder; use `reload` to read it again.

    Args:
        path: folder of the diagram.
    """

    path: Path

    @cached_property
    def description(self) -> dict[str, Any]:
        """The description in ``diagram.json``: base, axes, seeds, steps and options of the phases.

        Raises:
            UserError: the file is corrupt.
        """
        return read_description(self.path)

    @property
    def axes(self) -> dict[str, list[Any]]:
        """The values on each axis, by the axis's name, which is a column of `runs`."""
        axes: dict[str, list[Any]] = self.description["axes"]
        return axes

    @property
    def seeds(self) -> list[int]:
        """The seeds of each cell."""
        seeds: list[int] = self.description["seeds"]
        return seeds

    @cached_property
    def _folder(self) -> DiagramFolder:
        further = further_columns(self.description["phase"].get("further_thresholds"))
        return DiagramFolder(self.path, self.axes, self.seeds, further=further)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """The finished runs as in ``runs.csv``, one row per run: axes, seed, phase and results.

        Raises:
            UserError: the table is damaged.
        """
        return _frame(self._folder, "runs", self._folder.columns)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """The curves as in ``curves.csv``, one row per run and step; empty if no curves were kept.

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
        """The number of runs in each phase, and the maximum number of steps per run."""
        phases = {str(phase): count for phase, count in self.runs["phase"].value_counts().items()}
        return {**phases, "runs": len(self.runs), "steps": self.description["steps"]}

    def figure(self) -> Figure:
        """Draw the phases of all cells.

        Raises:
            UserError: no run has ended, or a table is damaged.
        """
        if self.runs.empty:
            raise UserError(f"no run of the diagram in {self.path} has ended yet: train it with grok diagram first")
        labels = self.description.get("labels", {})
        return diagram_figure(self.runs, list(self.axes), labels, read_marks(self.path))

    def report(self, output: str | Path | None = None) -> Path:
        """Write the diagram's interactive HTML report, and return its path.

        Args:
            output: output file; None for ``report.html`` in the folder.

        Raises:
            UserError: no run has ended, a file is corrupt, or the report cannot be written.
        """
        return write_report(self.path, None if output is None else Path(output))

    def reload(self) -> "Diagram":
        """The diagram, read again from its folder."""
        return Diagram(self.path)

    def __repr__(self) -> str:
        return f"Diagram({str(self.path)!r}, {len(self.runs)} runs over {', '.join(self.axes)})"

    def _repr_html_(self) -> str:
        return table({"diagram": self.path, **self.summary})


def _frame(folder: DiagramFolder, name: str, columns: list[str]) -> pd.DataFrame:
    """A table merged with its parts, each run once, in order."""
    lines = {}
    for index, row, line in folder.rows(name, columns):
        step = int(row[columns.index("step")]) if "step" in columns else 0
        lines[index, step] = line
    header = pd.DataFrame(columns=columns).to_csv(index=False)
    return pd.read_csv(io.StringIO(header + "".join(lines[key] for key in sorted(lines))))
