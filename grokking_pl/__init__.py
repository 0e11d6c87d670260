"""A laboratory for grokking: representations, effective theory, phases."""

__version__ = "0.1.0"
