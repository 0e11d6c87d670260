"""Figure 4 of the paper: which training sets imply the structure, in which networks it forms, and how.

python scripts/figure4.py --quick    one seed: 11 of the 33 published runs, half as long
python scripts/figure4.py            all of them, 10000 steps

Shares its runs with figure 5, and the quick ones with figure 3 too.
"""

from typing import Any

import numpy as np
import pandas as pd
from figure_run import FigureRun, make, seeds_of, summary_of
from matplotlib.figure import Figure
from training_fraction import agreement, structure_runs

from grokking_pl.plots.accuracy_scatter import draw_by_fraction
from grokking_pl.plots.captions import letter
from grokking_pl.plots.principal_axes import principal_axes
from grokking_pl.plots.theory import MARK_COLOUR, THEORY_COLOUR, draw_unique_structure
from grokking_pl.plots.trajectories import draw_trajectories, mark_step
from grokking_pl.tasks import addition
from grokking_pl.theory import critical_fraction, probability_of_unique_structure

TRIALS = 10_000
CALLBACKS = (
    "--trainer.callbacks=RepresentationQuality",
    "--trainer.callbacks.every_n_steps=1",
    "--trainer.callbacks+=EffectiveTheory",
    "--trainer.callbacks.every_n_steps=10",
    "--trainer.logger=false",
)
STRAIGHT = 3
"""After how many times n_h the paper's trajectories are straight."""
SHOWN = 8
"""For how many times n_h the theory's trajectory is drawn."""


def draw(run: FigureRun) -> None:
    """P(unique) and steps to RQI > 0.95 against training fraction; trajectories of theory and network."""
    curve = probability_of_unique_structure(addition(10), TRIALS)
    critical = critical_fraction(curve)
    runs, steps = structure_runs(run)
    options = ("--seed_everything=58", "--trainer.max_steps=4000", *CALLBACKS)
    folder = run.fit({"toy_trajectories": ("toy_addition.yaml", options)})["toy_trajectories"]
    flow, summary = np.load(folder / "trajectories.npz"), summary_of(folder)

    figure = Figure(figsize=(11, 7.6), layout="constrained")
    (unique, measured), (theory, network) = figure.subplots(2, 2)
    draw_unique_structure(unique, curve.to_frame(), critical.r_c, (critical.low, critical.high))
    unique.set(xlabel="training data fraction", ylabel="P(unique linear representation)")
    unique.grid(alpha=0.2)
    letter(unique, "a", "theory: phase transition")

    never = 1.25 * steps
    shown = runs.assign(
        **{name: runs[name].where(runs[name] <= steps, never) for name in ("steps_to_rqi", "published_steps_to_rqi")}
    )
    draw_by_fraction(measured, shown, "steps_to_rqi", "steps to RQI > 0.95", THEORY_COLOUR)
    measured.axvline(critical.r_c, color=MARK_COLOUR, linewidth=1, label=f"$r_c$ = {critical.r_c:.2f}")
    ticks = np.linspace(0, steps, 6)
    measured.set_yticks([*ticks, never], labels=[f"{tick:g}" for tick in ticks] + ["never"])
    measured.legend(loc="center right", fontsize=8)
    letter(measured, "b", "network: phase transition")

    axis = principal_axes(flow["network"][-1])[0]
    predicted, measured_steps = summary["predicted_steps"], summary["steps_to_rqi"]
    tables = {"a_unique": curve.to_frame(), "b_steps_to_rqi": runs}
    for panel, mark, name, title in (
        (theory, "c", "theory", "theory: trajectory"),
        (network, "d", "network", "network: trajectory"),
    ):
        times = flow[f"{name}_steps"]
        kept = times <= (SHOWN * predicted if name == "theory" else times[-1])
        values = (flow[name] @ axis)[kept]
        draw_trajectories(panel, times[kept], values, flow["symbols"])
        panel.set(ylabel=r"normalised embedding $\tilde E_k$", xlabel="step")
        letter(panel, mark, title)
        embeddings = pd.DataFrame(values, columns=[f"E_{k}" for k in flow["symbols"]])
        tables[f"{mark}_{name}"] = embeddings.assign(step=times[kept])
    mark_step(theory, predicted, r"$n_h = 1/(\lambda_3\eta)$")
    mark_step(theory, STRAIGHT * predicted, rf"${STRAIGHT}\,n_h$")
    if measured_steps is not None:
        mark_step(network, measured_steps, "RQI > 0.95")
    run.save(figure, caption(runs, steps, critical.r_c, summary, tables), tables)


def caption(
    runs: pd.DataFrame, steps: int, r_c: float, summary: dict[str, Any], tables: dict[str, pd.DataFrame]
) -> str:
    """What the figure shows, with its numbers."""
    formed = runs[runs.steps_to_rqi.notna()]
    least = f"{formed.train_fraction.min():.2f}" if len(formed) else "none"
    n_h, measured = summary["predicted_steps"], summary["steps_to_rqi"]
    theory, network = tables["c_theory"], tables["d_network"]
    straight = straightness(theory[theory.step <= STRAIGHT * n_h]), straightness(theory), straightness(network)
    clock = "" if measured is None else f", {n_h / measured:.0f} times as many as the network's"
    return f"""
    Figure 4. (a) The effective theory predicts a phase transition in the probability of obtaining a linear
    representation: it passes 1/2 at r_c = {r_c:.3f} ({TRIALS} random training sets of each size). (b) Steps to RQI >
    0.95 of networks, {len(runs)} runs of {seeds_of(runs)} within {steps} steps; line: median; diamonds:
    the published runs of the same seeds. The least fraction at which the structure forms here: {least}. Agreement with
    the published runs: {agreement(runs, steps)}. (c, d) The evolution of the normalised 1-D representation, by the
    theory and in a network, from the same initial values (45 samples, seed 58). Correlation of E_k with k: theory
    {straight[0]:.3f} at {STRAIGHT} n_h and {straight[1]:.3f} at {SHOWN} n_h, network {straight[2]:.3f} at the end: both
    reach the linear structure, but not by the same clock: the theory's n_h is {n_h:.0f} steps{clock} to RQI > 0.95.
    """


def straightness(trajectory: pd.DataFrame) -> float:
    """How straight the last embeddings lie: the absolute value of their correlation with 0, 1, 2, ..."""
    last = trajectory.drop(columns="step").iloc[-1].to_numpy()
    return float(abs(np.corrcoef(last, np.arange(len(last)))[0, 1]))


if __name__ == "__main__":
    make(draw, __doc__)
