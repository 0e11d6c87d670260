"""The description of a run: its settings, the builder that uses them, and grids."""

from grokking_pl.experiments.builder import Experiment, ExperimentBuilder
from grokking_pl.experiments.grid import Cell, Grid, read_axis, read_grid
from grokking_pl.experiments.settings import Settings, as_argument, entry_names, flatten, set_value

__all__ = [
    "Cell",
    "Experiment",
    "ExperimentBuilder",
    "Grid",
    "Settings",
    "as_argument",
    "entry_names",
    "flatten",
    "read_axis",
    "read_grid",
    "set_value",
]
