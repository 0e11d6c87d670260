"""Marks from the theory on a diagram's axis: the critical fraction on a training fraction axis."""

from grokking_pl.errors import UserError
from grokking_pl.experiments import Grid, Settings
from grokking_pl.population.member import MemberBuilder
from grokking_pl.theory import critical_fraction_of

TRIALS = 1000
MOST_SYMBOLS = 60
"""Most symbols for which the trials take only seconds."""


def theory_marks(grid: Grid, base: Settings) -> dict[str, float]:
    """The critical training fraction (section 3.2) on a diagram's single axis, by label; else empty.

    Also empty if the task has no operation table or does not commute.
    """
    (axis, *others) = grid.plane
    path = grid.paths_of(axis)
    if others or path not in (["data.train_fraction"], ["data.train_count"]):
        return {}
    data = MemberBuilder().build(0, grid.settings(base, grid.cell(0)), grid.seeds[0]).data
    table = getattr(data, "table", None)
    if table is None or len(table.symbols) > MOST_SYMBOLS:
        return {}
    try:
        r_c = critical_fraction_of(table, TRIALS).r_c
    except UserError:
        return {}
    samples = len(data.inputs) if path == ["data.train_count"] else 1
    return {f"critical fraction of the theory, {r_c:.2f}": r_c * samples}
