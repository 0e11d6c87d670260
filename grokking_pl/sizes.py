"""The sizes that the data decide and every architecture needs: said once, by the datamodule."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """What an architecture must know of its data.

    Args:
        inputs: number of features of an input vector (784 for MNIST); for algorithmic data the number of operands.
        outputs: dimension of the output: of the target vectors (regression) or the number of classes.
        symbols: number p of symbols that the inputs index; 0 where inputs are vectors.
    """

    inputs: int
    outputs: int
    symbols: int = 0
