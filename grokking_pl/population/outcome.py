"""The result of a member, the rows that it adds to the tables of a diagram, and how results are reported."""

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
        index: the member's number.
        steps_to_train: updates until the training accuracy passed its threshold; None for never.
        steps_to_val: updates until the validation accuracy passed its threshold; None for never.
        train_accuracy: accuracy on the training set when the phase was decided.
        val_accuracy: accuracy on the validation set then.
        steps: updates made by then.
        observed: what was seen of its embeddings.
        curve: step, training accuracy and validation accuracy on the way, if curves are kept.
        further_steps: updates until further thresholds were passed, by column.
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
        """The run's row of the table, by column; ``delay`` is that of the phases."""
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
        """The points of the run's curves, by column and in the order of their steps."""
        accuracies = {step: {"train_accuracy": train, "val_accuracy": val} for step, train, val in self.curve}
        names = ("rqi", "predicted_accuracy", "effective_dimension")
        looks = {step: dict(zip(names, values, strict=True)) for step, *values in self.observed.looks}
        for step in sorted(accuracies | looks):
            yield {**_coordinates(axes, cell), "step": step, **accuracies.get(step, {}), **looks.get(step, {})}


@dataclass(frozen=True)
class Report:
    """What a worker tells of its members from time to time.

    Args:
        worker: its name.
        steps: steps that its members have made since the last report.
        seconds: time since then, without that of compiling.
        outcomes: of the members that have ended since.
        running: steps that each of those in training has made.
    """

    worker: str
    steps: int
    seconds: float
    outcomes: list[Outcome]
    running: list[int]


def _coordinates(axes: Sequence[str], cell: Cell) -> Mapping[str, Any]:
    return {**dict(zip(axes, cell.values, strict=True)), "seed": cell.seed}
