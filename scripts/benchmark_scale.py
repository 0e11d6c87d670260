"""How cost grows with the number of symbols and of members: table and figure of the documentation.

python scripts/benchmark_scale.py            one core, five minutes; prints the table
python scripts/benchmark_scale.py --keep     also writes docs/images/scale.png and docs/results/scale
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from figure_run import provenance
from matplotlib.figure import Figure
from toy_batches import ToyBatches

from grokking_pl.metrics import Representation, rqi
from grokking_pl.tasks import addition
from grokking_pl.theory import grokking_rate

ROOT = Path(__file__).parent.parent
SIZES = (30, 56, 100, 180, 320, 560, 1000, 1800)
"""Numbers of symbols."""
MEMBERS = (32, 128, 512, 1024, 4096)
STEPS = 100
"""Steps of every member."""
REPEATS = 3
FITTED = 3
"""The exponent is that of the largest sizes, where the cost of calls does not count."""


class Quantity(NamedTuple):
    """What is measured over the number of symbols.

    Attributes:
        name: what it is called.
        call: returns the call to measure, for p symbols.
        largest: largest number of symbols.
        promised: how the algorithm's cost grows.
    """

    name: str
    call: Callable[[int], Callable[[], object]]
    largest: int
    promised: str


def table_of(p: int) -> Callable[[], object]:
    """Making the table of addition."""
    return lambda: addition(p)


def rqi_of(dimension: int) -> Callable[[int], Callable[[], object]]:
    """The RQI of random embeddings of this dimension."""

    def call(p: int) -> Callable[[], object]:
        table = addition(p)
        torch.manual_seed(0)
        representation = Representation(torch.randn(p, dimension))
        return lambda: rqi(representation, table)

    return call


def rate_of(p: int) -> Callable[[], object]:
    """The effective theory's rate with half of the pairs for training."""
    table = addition(p)
    half = torch.rand(len(table), generator=torch.Generator().manual_seed(0)) < 0.5
    return lambda: grokking_rate(table, half)


QUANTITIES = (
    Quantity("table of a + b", table_of, 1800, "p²"),
    Quantity("RQI, d = 1", rqi_of(1), 1800, "p² log p"),
    Quantity("RQI, d = 64", rqi_of(64), 560, "p³"),
    Quantity("rate λ₃", rate_of, 1800, "p³"),
)


def over_symbols(largest: int) -> Iterator[tuple[str, int, float]]:
    """Seconds of each quantity for each number of symbols."""
    for quantity in QUANTITIES:
        for p in (p for p in SIZES if p <= min(largest, quantity.largest)):
            call = quantity.call(p)
            call()
            yield quantity.name, p, statistics.median(seconds(call) for _ in range(REPEATS))


def seconds(call: Callable[[], object]) -> float:
    """Seconds of a call; of a short one, the mean of several."""
    start, calls = time.perf_counter(), 0
    while not calls or time.perf_counter() - start < 0.01:
        call()
        calls += 1
    return (time.perf_counter() - start) / calls


def over_members(most: int) -> Iterator[tuple[str, int, float]]:
    """Seconds per member-step of figure 6a, for each number of members in turn in one compiled batch."""
    toys = ToyBatches()
    batch = toys.empty(STEPS - 1)
    toys.train(batch, toys.places)  # compiles
    for members in (members for members in MEMBERS if members <= most):
        repeats = 1 if members > 1000 else REPEATS
        spent = statistics.median(seconds(lambda: toys.train(batch, members)) for _ in range(repeats))  # noqa: B023
        yield "member-step", members, spent / (members * STEPS)


def exponents(measured: pd.DataFrame) -> dict[str, float]:
    """The exponent of each quantity's growth over its largest sizes."""
    largest = {name: rows.nlargest(FITTED, "size") for name, rows in measured.groupby("quantity")}
    return {
        str(name): float(np.polyfit(np.log(rows["size"]), np.log(rows.seconds), 1)[0]) for name, rows in largest.items()
    }


def draw(measured: pd.DataFrame) -> Figure:
    """Cost over the number of symbols, with the exponents, and per member over the number of members."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    grows = exponents(measured)
    for quantity in QUANTITIES:
        rows = measured[measured.quantity == quantity.name]
        label = f"{quantity.name}: exponent {grows[quantity.name]:.1f}, algorithm {quantity.promised}"
        left.loglog(rows["size"], rows.seconds, "o-", markersize=4, label=label)
    left.set(xlabel="symbols p", ylabel="seconds on one core")
    left.set_ylim(top=50 * measured.seconds.max())  # for the legend
    left.legend(fontsize=8)
    left.grid(alpha=0.2)
    rows = measured[measured.quantity == "member-step"]
    right.semilogx(rows["size"], rows.seconds * 1e3, "o-", markersize=4, color="#222222", base=2)
    right.set(xlabel="members", ylabel="ms on one core per member-step")
    right.set_xticks(rows["size"], [str(size) for size in rows["size"]])
    right.set_ylim(0, 1.3e3 * rows.seconds.max())
    right.grid(alpha=0.2)
    return figure


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=max(SIZES), help="leave out larger numbers of symbols")
    parser.add_argument("--members", type=int, default=max(MEMBERS), help="leave out larger numbers of members")
    parser.add_argument("--keep", action="store_true", help="write the documentation's figure and table")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rows = [*over_symbols(chosen.largest), *over_members(chosen.members)]
    measured = pd.DataFrame(rows, columns=["quantity", "size", "seconds"])
    print(measured.to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    for name, exponent in exponents(measured).items():
        print(f"{name}: exponent {exponent:.2f}")
    if chosen.keep:
        kept = ROOT / "docs/results/scale"
        kept.mkdir(parents=True, exist_ok=True)
        measured["seconds"] = measured.seconds.map("{:.3g}".format)
        measured.to_csv(kept / "scale.csv", index=False)
        (kept / "made_by.md").write_text(f"{provenance()}\n")
        draw(pd.read_csv(kept / "scale.csv")).savefig(ROOT / "docs/images/scale.png", dpi=150)


if __name__ == "__main__":
    main()
