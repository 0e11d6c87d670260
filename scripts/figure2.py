"""Figure 2 of the paper: two-dimensional embeddings and what the decoder makes of the plane that it reads.

python scripts/figure2.py --quick    the same as the full figure: four runs of up to 20000 steps
python scripts/figure2.py
"""

import numpy as np
import pandas as pd
import yaml
from figure_run import CONFIGS, FigureRun, make, summary_of
from matplotlib.figure import Figure

from grokking_pl.plots.captions import letter
from grokking_pl.plots.decision_map import draw_decision_map, draw_pair_legend

PANELS = {
    "a": "memorization in toy addition",
    "b": "generalization in toy addition",
    "c": "memorization in toy modular addition",
    "d": "generalization in toy modular addition",
}


def draw(run: FigureRun) -> None:
    """Embeddings and decision maps of four runs, each by ``DecisionMap``."""
    configs = {panel: f"figures/figure2{panel}.yaml" for panel in PANELS}
    folders = run.fit({f"figure2{panel}": (config, ("--trainer.logger=false",)) for panel, config in configs.items()})
    figure = Figure(figsize=(11, 11.4), layout="constrained")
    tables: dict[str, pd.DataFrame] = {}
    outcomes = []
    for axes, (panel, title) in zip(figure.subplots(2, 2).flat, PANELS.items(), strict=True):
        folder = folders[f"figure2{panel}"]
        with np.load(folder / "decision_map.npz") as file:
            arrays = dict(file)
        draw_decision_map(axes, **arrays)
        letter(axes, panel, title)
        summary = summary_of(folder)
        words = f"training {summary['train_accuracy']:.3f}, validation {summary['val_accuracy']:.3f}"
        published = published_accuracies(configs[panel])
        beside = f"published: training {published[0]:.3f}, validation {published[1]:.3f}" if published else ""
        axes.set_xlabel(f"first dimension\naccuracy: {words}\n{beside}")
        axes.set_ylabel("second dimension")
        outcomes.append(f"({panel}) {words} ({beside or 'published: a circle'}; RQI {summary['rqi']:.2f})")
        tables |= tables_of(panel, arrays)
    draw_pair_legend(figure, loc="outside upper center", ncols=3)
    run.save(figure, caption(outcomes), tables)


def published_accuracies(config: str) -> tuple[float, float] | None:
    """The published accuracies that a configuration gives its decision map, if there are any."""
    callbacks = yaml.safe_load((CONFIGS / config).read_text())["trainer"]["callbacks"]
    (options,) = (one.get("init_args", {}) for one in callbacks if one["class_path"].endswith(".DecisionMap"))
    published: tuple[float, float] | None = options.get("published")
    return published


def tables_of(panel: str, arrays: dict[str, np.ndarray]) -> dict[str, pd.DataFrame]:
    """What a panel shows: the symbols, the pairs and the class of every point."""
    symbols = pd.DataFrame(arrays["symbols"], columns=["x", "y"]).assign(symbol=arrays["names"])
    pairs = pd.DataFrame(arrays["pairs"], columns=["x", "y"])
    grid = np.stack(np.meshgrid(arrays["x"], arrays["y"]), -1).reshape(-1, 2)
    return {
        f"{panel}_symbols": symbols,
        f"{panel}_pairs": pairs.assign(train=arrays["train"], correct=arrays["correct"]),
        f"{panel}_decision": pd.DataFrame(grid, columns=["x", "y"]).assign(result=arrays["classes"].ravel()),
    }


def caption(outcomes: list[str]) -> str:
    """What the figure shows, with its numbers."""
    return f"""
    Figure 2. Two-dimensional embeddings (p = 11) and the decoder function associated with them, at the end of runs in
    the settings of the authors' code. Axes: the dimensions of what the decoder reads, (E_i + E_j)/2 in (a) and (b), E_i
    + E_j in (c) and (d). A symbol i stands where it is combined with itself, so that a pair lies midway between its
    symbols; the colour and the number of a region are the class that the decoder gives there. Accuracies at the end:
    {"; ".join(outcomes)}. The published accuracies of (b) are those of the authors' recorded rerun, while the paper's
    caption has both reach 1; the setting of (d) is not recorded.
    """


if __name__ == "__main__":
    make(draw, __doc__)
