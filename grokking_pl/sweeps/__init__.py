"""Sweeps in the schema of Weights & Biases, without a server: which runs they make, and running them."""

from grokking_pl.sweeps.sweep_file import SweepFile, read_sweep

__all__ = ["SweepFile", "read_sweep"]
