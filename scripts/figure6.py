"""Figure 6 of the paper: four phase diagrams of the toy model.

python scripts/figure6.py --quick    9 of the cells and 2000 steps each
python scripts/figure6.py            the paper's 169 and 176 cells, 10^5 steps each: two to three hours of two cores
python scripts/figure6.py --panels a c   some of the panels

With --keep, panels that are not made are drawn from the tables that docs/results has of them.
"""

import json

import numpy as np
import pandas as pd
from figure_run import FigureRun, make, phase_counts
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from published import COLUMNS, DELAY, STEPS, grid, phase_of

from grokking_pl.plots.captions import letter
from grokking_pl.plots.curves import TRAIN_COLOUR, VAL_COLOUR
from grokking_pl.plots.diagram import draw_phase_legend, draw_phases

NAMES = {
    "model.embeddings.lr": "representation learning rate",
    "model.decoder.lr": "decoder learning rate",
    "model.decoder.weight_decay": "decoder weight decay",
}
PANELS = {
    "a": ("addition, regression", "published_6a", "model.embeddings.lr", [1e-4, 1e-3, 1e-2]),
    "b": ("addition, regression", "published_6b", "model.decoder.weight_decay", [0, 2, 10]),
    "c": ("addition, classification", None, "model.decoder.weight_decay", [0, 2, 10]),
    "d": ("permutation group, regression", None, "model.decoder.weight_decay", [0, 10, 100]),
}
"""What is learned, the published numbers, the vertical axis, and its values in the quick version."""
QUICK_STEPS, QUICK_DELAY = 2000, 200
"""In the proportion of the published runs, 10000 to 1000."""


def draw(run: FigureRun) -> None:
    """The four phase diagrams, and below the first two the published runs."""
    steps = run.steps or (QUICK_STEPS if run.quick else 100_000)
    delay = QUICK_DELAY if run.quick else DELAY
    tables = dict(zip(run.panels, diagrams(run).values(), strict=True))
    again = tables if run.quick else published_again(run)
    budget = min(steps, STEPS)
    for mark, name in published_panels(run).items():
        tables[f"{mark}_published"] = beside_published(again[mark], name, budget, delay)
    others = [mark for mark in PANELS if mark not in run.panels]
    tables |= run.kept_tables(name for mark in others for name in (mark, f"{mark}_published"))
    panels = [mark for mark in PANELS if mark in tables]
    published = [mark for mark in panels if f"{mark}_published" in tables]
    rows = 2 if published else 1
    figure = Figure(figsize=(0.8 + 3.6 * len(panels), 0.4 + 3.4 * rows), layout="constrained")
    grid_of_panels = figure.subplots(rows, len(panels), squeeze=False)
    agreement = []
    for column, mark in enumerate(panels):
        title, _, vertical, _ = PANELS[mark]
        panel = grid_of_panels[0, column]
        draw_phases(panel, tables[mark], (vertical, "model.decoder.lr"), NAMES)
        letter(panel, mark, title)
        if mark in published:
            both = tables[f"{mark}_published"]
            lower = grid_of_panels[1, column]
            draw_phases(lower, both.assign(phase=both.published_phase), (vertical, "model.decoder.lr"), NAMES)
            lower.set_title(f"published runs, {budget} steps", loc="left", fontsize=9)
            agree = (both.phase_within_budget == both.published_phase).sum()
            agreement.append(f"({mark}) {agree} of {len(both)}")
    free = [panel for panel in grid_of_panels[-1] if not panel.has_data()]
    for panel in free:
        panel.set_visible(False)
    if free and published:
        free[0].set_visible(True)
        draw_steps(free[0], [tables[f"{mark}_published"] for mark in published])
    draw_phase_legend(figure, loc="outside lower center", ncols=4)
    run.save(figure, caption(tables, agreement, steps, delay), tables)


def diagrams(run: FigureRun) -> dict[str, pd.DataFrame]:
    """The tables of the panels that are made, by the names of their diagrams."""
    if not run.quick:
        return run.diagrams({f"figure6{mark}": (f"figures/figure6{mark}", ()) for mark in run.panels})
    quick = {}
    for mark in run.panels:
        _, _, vertical, values = PANELS[mark]
        axes = json.dumps({vertical: values, "model.decoder.lr": [1e-4, 1e-3, 1e-2]})
        options = (f"--axes={axes}", f"--steps={QUICK_STEPS}", f"--phase.delay={QUICK_DELAY}")
        quick[f"figure6{mark}_small"] = (f"figures/figure6{mark}_small", options)
    return run.diagrams(quick)


def published_panels(run: FigureRun) -> dict[str, str]:
    """The names of the published numbers of the panels that are made and have some."""
    return {mark: name for mark in run.panels if (name := PANELS[mark][1])}


def published_again(run: FigureRun) -> dict[str, pd.DataFrame]:
    """The published runs made here: on fewer cells than the paper's grids, and drawn in another order."""
    published = published_panels(run)
    tables = run.diagrams({name: (f"diagrams/{name}", ()) for name in published.values()})
    return dict(zip(published, tables.values(), strict=True))


def beside_published(runs: pd.DataFrame, name: str, budget: int, delay: int) -> pd.DataFrame:
    """The cells of a diagram that were published too, with the phases that both have within a budget of steps.

    All steps are updates made.
    """
    published = grid(name).rename(columns=COLUMNS)
    published["published_train"] += 1
    axes = [column for column in published if column in NAMES]
    for frame in (runs, published):
        # The published values of an axis are rounded otherwise.
        frame["cell"] = [tuple(f"{value:.6g}" for value in row) for row in frame[axes].to_numpy(dtype=float)]
    both = runs.merge(published.drop(columns=axes), on="cell").drop(columns="cell")
    runs.pop("cell")
    for name, columns in (
        ("phase_within_budget", ("steps_to_train", "steps_to_val")),
        ("published_phase", ("published_train", "published_val")),
    ):
        within = [both[column].where(both[column] <= budget) for column in columns]
        both[name] = [phase_of(train, val, delay) for train, val in zip(*within, strict=True)]
    return both


def draw_steps(panel: Axes, tables: list[pd.DataFrame]) -> None:
    """Steps to both thresholds, ours against the published ones."""
    both = pd.concat(tables)
    for which, mark, colour, name in (("train", "o", TRAIN_COLOUR, "training"), ("val", "^", VAL_COLOUR, "validation")):
        panel.loglog(
            both[f"published_{which}"], both[f"steps_to_{which}"], mark, color=colour, markersize=4, alpha=0.7,
            label=f"{name} accuracy > 0.9", markerfacecolor="none",
        )  # fmt: skip
    ends = np.array([10, STEPS])
    panel.loglog(ends, ends, "--", color="grey", linewidth=1)
    panel.set(xlabel="steps, published", ylabel="steps, here", xlim=ends, ylim=ends)
    panel.set_title("where both passed", loc="left", fontsize=9)
    panel.grid(alpha=0.2)
    panel.legend(fontsize=8, loc="upper left")


WORDS = {
    "a": "the competition between representation and decoder",
    "b": "weight decay and learning rate of the decoder",
    "c": "the same for classification",
    "d": "the same for the permutation group",
}


def caption(tables: dict[str, pd.DataFrame], agreement: list[str], steps: int, delay: int) -> str:
    """What the figure shows, with its numbers."""
    made = [mark for mark in PANELS if mark in tables]
    panels = "; ".join(f"({mark}) {WORDS[mark]}: {phase_counts(tables[mark])}" for mark in made)
    compared = (
        f"""Below: the published runs, on their own grid. Phases of the same runs made here that are
        equal, both decided within {min(steps, STEPS)} steps: {", ".join(agreement)}."""
        if agreement
        else ""
    )
    few = "" if steps >= 100_000 else "Cells that take longer than that are memorization or confusion here."
    return f"""
    Figure 6. Phase diagrams of learning, within {steps} steps. Phases as in table 1, with grokking from a delay of
    {delay} steps on. Cells: {panels}. {compared} {few}
    """


if __name__ == "__main__":
    make(draw, __doc__, panels=tuple(PANELS))
