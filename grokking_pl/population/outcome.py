"""Results of members: their rows in a diagram's tables, and workers' reports."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grokking_pl.experiments import Cell
from grokking_pl.metrics.phases import classify
from grokking_pl.population.observation import Observed


@dataclass(frozen=True)
class Outcome:
    """The result of a member.

    Args:
        index: number of the run.
        steps_to_train: updates until the training accuracy crossed its threshold; None for never.
        steps_to_val: updates until the validation accuracy crossed its threshold; None for never.
        train_accuracy: training accuracy when the phase was decided.
        val_accuracy: validation accuracy then.
        steps: updates made by then.
        observed: observations of its embeddings.
        curve: (step, training accuracy, validation accuracy) during training, if curves are kept.
        further_steps: updates until further thresholds were crossed, by column.
    """

    index: int
    steps_to_train: int | None
    steps_to_val: int | None
    train_accuracy: float
    val_accuracy: float
    steps: int
    observed: Observed
    curve: Sequence[tuple[int, float, float]] = ()
    further_steps: Mapping[str, int | None] = field(default_factory=dict)

    def row(self, axes: Sequence[str], cell: Cell, delay: int) -> dict[str, Any]:
        """The run's row of the table, by column; ``delay`` is the phases' delay."""
        return {
            **_coordinates(axes, cell),
            "steps_to_train": self.steps_to_train,
            "steps_to_val": self.steps_to_val,
            "phase": str(classify(self.steps_to_train, self.steps_to_val, delay)),
            "train_accuracy": self.train_accuracy,
            "val_accuracy": self.val_accuracy,
            "steps_to_rqi": self.observed.steps_to_rqi,
            "rqi": self.observed.rqi,
            "predicted_accuracy": self.observed.predicted_accuracy,
            "effective_dimension": self.observed.effective_dimension,
            **self.further_steps,
        }

    def curve_rows(self, axes: Sequence[str], cell: Cell) -> Iterator[dict[str, Any]]:
        """The points of the run's curves, by column, ordered by step."""
        accuracies = {step: {"train_accuracy": train, "val_accuracy": val} for step, train, val in self.curve}
        names = ("rqi", "predicted_accuracy", "effective_dimension")
        looks = {step: dict(zip(names, values, strict=True)) for step, *values in self.observed.looks}
        for step in sorted(accuracies | looks):
            yield {**_coordinates(axes, cell), "step": step, **accuracies.get(step, {}), **looks.get(step, {})}


@dataclass(frozen=True)
class Report:
    """A worker's periodic report on its members.

    Args:
        worker: name of the worker.
        steps: steps made by its members since the last report.
        seconds: time since then, without compiling.
        outcomes: outcomes of the members that ended since.
        running: steps made by each member in training.
    """

    worker: str
    steps: int
    seconds: float
    outcomes: list[Outcome]
    running: list[int]


def _coordinates(axes: Sequence[str], cell: Cell) -> Mapping[str, Any]:
    return {**dict(zip(axes, cell.values, strict=True)), "seed": cell.seed}
