"""The critical training fraction of addition by number of symbols: table and figure of the documentation.

python scripts/critical_fraction.py                      some minutes; writes docs/images/critical_fraction.png
python scripts/critical_fraction.py --largest 100 --to /tmp
"""

import argparse
from pathlib import Path

import pandas as pd

from grokking_pl.plots.theory import critical_fraction_by_p as draw
from grokking_pl.theory import critical_fraction_by_p

SYMBOLS = (4, 6, 10, 18, 30, 56, 100, 180, 300, 1000)
WORK = 2e10
"""p³ trials: 20 training orders of a thousand symbols."""


def markdown(frame: pd.DataFrame) -> str:
    """The table in Markdown, as in the documentation."""
    lines = ["| p | samples | trials | r_c | 95 % | r_c p / ln p |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {row.p} | {row.samples} | {row.trials} | {row.r_c:.4f} | {row.low:.4f} to {row.high:.4f} "
        f"| {row.r_c_p_over_log_p:.2f} |"
        for row in frame.itertuples()
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=max(SYMBOLS), help="leave out larger numbers of symbols")
    parser.add_argument("--trials", type=int, default=1000, help="most random orders per number of symbols")
    parser.add_argument("--to", type=Path, default=Path(__file__).parent.parent / "docs/images", help="folder")
    arguments = parser.parse_args()
    symbols = [p for p in SYMBOLS if p <= arguments.largest]
    frame = critical_fraction_by_p(symbols, arguments.trials, work=WORK)
    arguments.to.mkdir(parents=True, exist_ok=True)
    draw(frame).savefig(arguments.to / "critical_fraction.png", dpi=150)
    print(markdown(frame))


if __name__ == "__main__":
    main()
