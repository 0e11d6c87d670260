"""Sizes of the data that every architecture needs, set by the datamodule."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """The sizes of the data, as needed by an architecture.

    Args:
        inputs: number of features of an input vector (784 for MNIST); for algorithmic data the number of operands, or
            of tokens if samples are whole equations.
        outputs: dimension of the output: of the target vectors (regression) or the number of classes.
        symbols: number p of symbols that the inputs index; 0 if inputs are vectors.
        tokens: size of the vocabulary if inputs are tokens; 0 if there are only symbols.
        first_symbol: token id of the first symbol; the others follow.
        answers: number of answer tokens, at the last positions of the input; 0 if a sample has one class or vector.
    """

    inputs: int
    outputs: int
    symbols: int = 0
    tokens: int = 0
    first_symbol: int = 0
    answers: int = 0
