"""Architectures that a user could write, and that are unlike the project's own."""

import torch
from torch import nn

from grokking_pl.models import ToyModel


class WithGain(ToyModel):
    """Has a parameter without dimensions."""

    def __init__(self, sizes, width: int = 24):
        super().__init__(sizes, width=width)
        self.gain = nn.Parameter(torch.tensor(0.5))

    def forward(self, pairs):
        return self.gain * super().forward(pairs)


class WithFixedFeatures(ToyModel):
    """Has tensors, drawn with the seed, that training leaves as they are: a buffer and a frozen parameter."""

    def __init__(self, sizes, width: int = 24):
        super().__init__(sizes, width=width)
        self.register_buffer("shift", torch.rand(sizes.outputs))
        self.scale = nn.Parameter(torch.rand(sizes.outputs), requires_grad=False)

    def forward(self, pairs):
        return self.scale * super().forward(pairs) + self.shift


class Separate(nn.Module):
    """Maps each operand by its own layer, so it combines no two embeddings into one vector."""

    def __init__(self, sizes, width: int = 8):
        super().__init__()
        self.embeddings = nn.Embedding(sizes.symbols, 4)
        self.left, self.right = nn.Linear(4, width), nn.Linear(4, width)
        self.output = nn.Linear(width, sizes.outputs)

    def forward(self, pairs):
        a, b = self.embeddings(pairs).unbind(1)
        return self.output((self.left(a) + self.right(b)).relu())


class TooLarge(ToyModel):
    """Needs more memory than there is."""

    def forward(self, pairs):
        return super().forward(pairs) + torch.zeros(2**56).mean()
