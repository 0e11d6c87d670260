"""Comparison of a run with the effective theory (section 3.2 of the paper)."""

import math
from dataclasses import dataclass
from typing import Any

import torch

from grokking_pl.errors import UserError
from grokking_pl.experiments import Experiment, ExperimentBuilder
from grokking_pl.report.run_results import RunResults
from grokking_pl.theory import Trajectories, predict, theory_beside_network
from grokking_pl.theory.prediction import UNFAITHFUL

POINTS = 120


@dataclass(frozen=True)
class Comparison:
    """Theory and measurement of one run.

    Args:
        lambda_3: grokking rate.
        n0: nullity of the training set's equations.
        unique: whether a unique structure is implied.
        ideal_accuracy: accuracy of an ideal model.
        predicted_steps: 1 / (lambda_3 eta); None for never.
        measured_steps: step at which RQI crossed its threshold; None if it did not, or was not measured.
        trajectories: trajectories of the embeddings in theory and network; None if unknown.
        source: source of the prediction.
        words: further remarks; may be empty.
    """

    lambda_3: float
    n0: int
    unique: bool
    ideal_accuracy: float
    predicted_steps: float | None
    measured_steps: int | None
    trajectories: Trajectories | None
    source: str
    words: str = ""


def compare(results: RunResults) -> Comparison:
    """Compare theory and run, as recorded by the callback ``EffectiveTheory`` or else from the run's configuration.

    Raises:
        UserError: the theory does not apply to the run; the message says why.
    """
    summary = results.summary
    measured = summary.get("steps_to_rqi")
    if {"lambda_3", "n0", "unique_structure", "ideal_accuracy", "predicted_steps"} <= set(summary):
        return Comparison(
            summary["lambda_3"],
            summary["n0"],
            summary["unique_structure"],
            summary["ideal_accuracy"],
            summary["predicted_steps"],
            measured,
            results.trajectories,
            "recorded by the callback EffectiveTheory",
            summary.get("theory_comparison", ""),
        )
    if results.snapshots is None or not results.config:
        raise UserError("the network has no embeddings of symbols")
    return _predict(results, measured)


def _predict(results: RunResults, measured: int | None) -> Comparison:
    experiment = _build(results.config, int(results.summary.get("seed", results.config.get("seed_everything") or 0)))
    module, data = experiment.module, experiment.data
    if not hasattr(data, "table") or not hasattr(module.network, "combine"):
        raise UserError("the theory is about embeddings of an operation table's symbols")
    if not module.representation.adds:
        raise UserError("the network does not add its embeddings, but the theory is about sums E_a + E_b")
    prediction = predict(data.table, data.train_indices)
    eta = module.embeddings_rate
    steps = prediction.steps(eta)
    snapshots = results.snapshots
    assert snapshots is not None
    trajectories = theory_beside_network(
        prediction,
        data.table,
        data.train_indices,
        eta,
        snapshots.steps.tolist(),
        torch.from_numpy(snapshots.values),
        POINTS,
    )
    return Comparison(
        prediction.lambda_3,
        prediction.n0,
        prediction.unique,
        prediction.ideal_accuracy,
        steps if math.isfinite(steps) else None,
        measured,
        trajectories,
        "computed from the configuration",
        "" if prediction.faithful else f"its structure {UNFAITHFUL}",
    )


def _build(config: dict[str, Any], seed: int) -> Experiment:
    builder = ExperimentBuilder()
    try:
        experiment = builder.instantiate(builder.complete(config), seed)
        experiment.build()
        return experiment
    except (OSError, ImportError) as error:
        raise UserError(f"the run's data cannot be rebuilt ({error})") from None
