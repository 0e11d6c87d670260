"""Figure 2 of the paper: two-dimensional embeddings and what the decoder makes of the plane they lie in.

python scripts/figure2.py --quick    the same as the full figure: four runs of 4000 steps
python scripts/figure2.py
"""

import numpy as np
import pandas as pd
import torch
from figure_run import FigureRun, make, summary_of
from matplotlib.figure import Figure

from grokking_pl.plots.captions import letter
from grokking_pl.plots.decision_map import draw_decision_map
from grokking_pl.training import GrokkingModule

POINTS = 300
MARGIN = 0.25
"""Of the embeddings' extent, on each side."""
MEMORISING = ("--model.decoder.weight_decay=0", "--model.decoder.lr=1e-2", "--model.embeddings.lr=1e-3",
              "--model.architecture.embedding_scale=1")  # fmt: skip
"""A decoder that is fast and free, and embeddings that start apart and move slowly."""
PANELS = {
    "a": ("toy_2d_addition", "memorization in toy addition", MEMORISING),
    "b": ("toy_2d_addition", "generalization in toy addition", ()),
    "c": ("toy_2d_modular", "memorization in toy modular addition", MEMORISING),
    "d": ("toy_2d_modular", "generalization in toy modular addition", ()),
}


def draw(run: FigureRun) -> None:
    """Embeddings and decision maps of four runs."""
    runs = {
        f"{config}_{title.split()[0]}": (f"{config}.yaml", ("--trainer.logger=false", *options))
        for config, title, options in PANELS.values()
    }
    folders = run.fit(runs).values()
    figure = Figure(figsize=(11, 11), layout="constrained")
    tables, outcomes = {}, []
    for panel, mark, folder in zip(figure.subplots(2, 2).flat, PANELS, folders, strict=True):
        title = PANELS[mark][1]
        with np.load(folder / "embeddings.npz") as file:
            embeddings, symbols = file["embeddings"][-1], file["symbols"]
        module = GrokkingModule.load_from_checkpoint(folder / "checkpoints/last.ckpt", weights_only=True)
        x, y, classes = decision_map(module, embeddings)
        draw_decision_map(panel, x, y, classes, embeddings, symbols)
        letter(panel, mark, title)
        summary = summary_of(folder)
        words = f"train {summary['train_accuracy']:.2f}, validation {summary['val_accuracy']:.2f}"
        panel.set_xlabel(f"embedding, first dimension\naccuracy: {words}")
        panel.set_ylabel("embedding, second dimension")
        outcomes.append(f"({mark}) {words} ({summary['phase']}, RQI {summary['rqi']:.2f})")
        tables[f"{mark}_embeddings"] = pd.DataFrame(embeddings, columns=["x", "y"]).assign(symbol=symbols)
        grid = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
        tables[f"{mark}_decision"] = pd.DataFrame(grid, columns=["x", "y"]).assign(result=classes.ravel())
    run.save(figure, caption(outcomes), tables)


def decision_map(module: GrokkingModule, embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The class that the decoder gives to each point of a grid over the embeddings' plane."""
    low, high = embeddings.min(0), embeddings.max(0)
    edge = MARGIN * (high - low).max()
    x, y = (np.linspace(low[k] - edge, high[k] + edge, POINTS, dtype=np.float32) for k in (0, 1))
    grid = torch.from_numpy(np.stack(np.meshgrid(x, y), -1).reshape(-1, 2))
    with torch.no_grad():
        outputs = module.network.decoder(grid.to(module.device))  # type: ignore[operator]
    return x, y, module.predict_class(outputs).cpu().numpy().reshape(POINTS, POINTS)


def caption(outcomes: list[str]) -> str:
    """What the figure shows, with its numbers."""
    return f"""
    Figure 2. The learned embeddings (p = 11) and the decoder function associated with them, for 2-D embeddings. Axes:
    the dimensions of the embeddings. The colour and the number of a region are the most probable class there. The
    decoder reads (E_i + E_j)/2, so that its answer to i and j is read off midway between their embeddings. Accuracies
    at the end: {"; ".join(outcomes)}. In (b) the embeddings form a line of equal steps, in (d) they lie on an arc of a
    circle, which is no set of parallelograms: hence its low RQI (see the paper's limitations). The hyperparameters are
    our own, for the paper does not tell them: memorizing runs have no weight decay, a decoder of rate 1e-2 and
    embeddings that start in a unit square.
    """


if __name__ == "__main__":
    make(draw, __doc__)
