"""Architectures that cannot be trained for many networks at once."""

from torch import nn

from grokking_pl.models import ToyModel


class Uncountable(ToyModel):
    """Looks at its values."""

    def forward(self, pairs):
        if self.embeddings.detach().sum().item() > 1e9:
            return self.decoder(self.embeddings)
        return super().forward(pairs)


class Normalised(ToyModel):
    """Keeps statistics of its batches, and in training mode takes no sample alone."""

    def __init__(self, sizes, width: int = 24):
        super().__init__(sizes, width=width)
        self.norm = nn.BatchNorm1d(sizes.outputs)

    def forward(self, pairs):
        return self.norm(super().forward(pairs))
