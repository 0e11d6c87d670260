"""The sizes that the data decide and every architecture needs: said once, by the datamodule."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """What an architecture must know of its data.

    Args:
        inputs: number of features of an input vector (784 for MNIST); for algorithmic data the number of operands, or
            of tokens where samples are whole equations.
        outputs: dimension of the output: of the target vectors (regression) or the number of classes.
        symbols: number p of symbols that the inputs index; 0 where inputs are vectors.
        tokens: size of the vocabulary, where inputs are tokens; 0 where the symbols are all there is.
        first_symbol: token number of the first symbol; the others follow it.
        answers: number of tokens asked for, at the last places of the input; 0 where a sample has one class or vector.
    """

    inputs: int
    outputs: int
    symbols: int = 0
    tokens: int = 0
    first_symbol: int = 0
    answers: int = 0
