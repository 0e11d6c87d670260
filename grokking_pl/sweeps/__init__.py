"""Sweeps in the schema of Weights & Biases, without a server: expansion and execution."""

from grokking_pl.sweeps.sweep_file import SweepFile, read_sweep

__all__ = ["SweepFile", "read_sweep"]
