"""Architectures: plain modules that take the data's sizes first and name the parameters of their embeddings."""

from grokking_pl.models.mlp import MLP

__all__ = ["MLP"]
