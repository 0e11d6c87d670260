"""Figure 1 of the paper: the embeddings of a transformer that learns modular addition, before, during and after.

python scripts/figure1.py --quick    p = 31, width 64, 3500 steps
python scripts/figure1.py            p = 59, width 256, 20000 steps: about an hour on two cores

Shares its run with appendix_lottery_ticket.py and with figure7.py --coarse.
"""

import numpy as np
import pandas as pd
import torch
from figure_run import FigureRun, first_step, make, metrics_of, transformer_run
from matplotlib.figure import Figure

from grokking_pl.metrics import fourier_power
from grokking_pl.plots.captions import letter
from grokking_pl.plots.embeddings import draw_points
from grokking_pl.plots.principal_axes import principal_components

OVERFITTED = 0.99
"""Training accuracy from which on a network overfits."""


def draw(run: FigureRun) -> None:
    """The first two principal components at initialisation, overfitting and representation learning."""
    folder = transformer_run(run)
    with np.load(folder / "embeddings.npz") as file:
        steps, embeddings, symbols = file["steps"], file["embeddings"], file["symbols"]
    metrics = metrics_of(folder, "train_accuracy", "val_accuracy")
    fitted = first_step(metrics, OVERFITTED, "train_accuracy")
    # The first snapshot after the training set is fitted, as long as nothing else is.
    overfitting = int(np.searchsorted(steps, fitted)) if np.isfinite(fitted) else len(steps) // 2
    chosen = [0, min(overfitting, len(steps) - 1), len(steps) - 1]
    points, explained = principal_components(embeddings[chosen], fixed_axes=False)

    figure = Figure(figsize=(13.5, 4.8), layout="constrained")
    tables, words = {}, []
    names = ("Initialization", "Overfitting", "Representation learning")
    for k, (panel, name) in enumerate(zip(figure.subplots(1, 3), names, strict=True)):
        step = int(steps[chosen[k]])
        row = metrics.iloc[(metrics.step - step).abs().argmin()]
        draw_points(panel, points[k], symbols)
        letter(panel, "abc"[k], f"{name} ({step} iterations)")
        panel.set_xlabel(
            f"first principal component\ntrain acc: {row.train_accuracy:.1f} — val acc: {row.val_accuracy:.1f}"
        )
        panel.set_ylabel("second principal component")
        power = fourier_power(torch.from_numpy(points[k]))
        words.append(
            f"({'abc'[k]}) {explained[k]:.0%} of the variance, {float(power.max()):.0%} of it at frequency "
            f"{int(power.argmax()) + 1}, accuracies as of step {row.step:.0f}"
        )
        table = pd.DataFrame(points[k], columns=["component_1", "component_2"])
        tables["abc"[k]] = table.assign(symbol=symbols, step=step)
    run.save(figure, caption(len(symbols), words), tables | {"accuracies": metrics})


def caption(p: int, words: list[str]) -> str:
    """What the figure shows, with its numbers."""
    return f"""
    Figure 1. The first two principal components of the learned input embeddings at different training stages of a
    transformer learning addition modulo {p}. In these two components lie {"; ".join(words)}. A circle, on which the
    numbers stand in the order of their multiples, is a single frequency; a random arrangement has some {200 / p:.0f} %
    at each. Colours run with the numbers from 0 to {p - 1}.
    """


if __name__ == "__main__":
    make(draw, __doc__)
