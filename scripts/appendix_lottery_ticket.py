"""Appendix K of the paper: the initial embeddings on the principal axes of the final ones.

python scripts/appendix_lottery_ticket.py --quick    p = 31, width 64, 3500 steps
python scripts/appendix_lottery_ticket.py            p = 59, width 256, 20000 steps: about an hour on two cores

Shares its run with figure1.py.
"""

import numpy as np
import pandas as pd
import torch
from figure_run import FigureRun, make, transformer_run

from grokking_pl.metrics import fourier_power
from grokking_pl.plots.lottery_ticket import initial_excess, lottery_ticket
from grokking_pl.plots.principal_axes import principal_axes

RANDOM_PLANES = 1000


def draw(run: FigureRun) -> None:
    """Draw initial embeddings on their own axes and on the final ones, and the final embeddings."""
    with np.load(transformer_run(run) / "embeddings.npz") as file:
        steps, (initial, *_, final), symbols = file["steps"], file["embeddings"], file["symbols"]
    figure = lottery_ticket(initial, final, symbols, int(steps[-1]))
    tables = {}
    for name, embeddings, axes in (
        ("a_initial_own_axes", initial, initial), ("b_initial_final_axes", initial, final), ("c_final", final, final),
    ):  # fmt: skip
        points = (embeddings - embeddings.mean(0)) @ principal_axes(axes).T
        tables[name] = pd.DataFrame(points, columns=["axis_1", "axis_2"]).assign(symbol=symbols)
    run.save(figure, caption(initial, final, tables), tables)


def caption(initial: np.ndarray, final: np.ndarray, tables: dict[str, pd.DataFrame]) -> str:
    """The caption, with the numbers of the figure."""
    frequency, power = strongest(tables["c_final"][["axis_1", "axis_2"]].to_numpy())
    before = tables["b_initial_final_axes"][["axis_1", "axis_2"]].to_numpy()
    share = float(fourier_power(torch.from_numpy(before))[frequency - 1])
    centred = initial - initial.mean(0)
    planes = np.linalg.qr(np.random.default_rng(0).normal(size=(RANDOM_PLANES, initial.shape[1], 2)))[0]
    chance = np.array([float(fourier_power(torch.from_numpy(centred @ plane))[frequency - 1]) for plane in planes])
    return f"""
    Appendix K. Initial embeddings projected onto the principal axes at the end of training. (left) Initial embeddings
    on their own first two principal axes; (middle) the same on those of the final ones; (right) the final embeddings.
    The final plane has {power:.0%} of its power at frequency {frequency}. Of the initial embeddings' power in that
    plane {share:.0%} is at this frequency already; in {RANDOM_PLANES} random planes it is {np.median(chance):.0%}
    (median) and at most {chance.max():.0%}. The initial embeddings vary {initial_excess(initial, final):.1f} times as
    much in the final plane as in an average one. One run; the initial values are part of what is trained, so that some
    excess is to be expected of any final plane.
    """


def strongest(points: np.ndarray) -> tuple[int, float]:
    """The strongest frequency in a plane, and its fraction of the power."""
    power = fourier_power(torch.from_numpy(points))
    return int(power.argmax()) + 1, float(power.max())


if __name__ == "__main__":
    make(draw, __doc__)
