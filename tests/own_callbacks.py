"""Callbacks that a user could write."""

from grokking_pl.callbacks import Measurement


class Spread(Measurement):
    """The callback of the README."""

    def measure(self, trainer, pl_module):
        return {"spread": float(pl_module.representation.embeddings.std())}


class DeclaredSpread(Spread):
    """Declares what it reads."""

    needs_only_embeddings = True
