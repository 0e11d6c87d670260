"""The commands of ``grok``, and how every one of them ends that cannot do what it was asked."""

import sys
from typing import NoReturn

COMMANDS = {
    "fit": "train a network: grok fit --config configs/mnist_grok.yaml",
    "validate": "measure a checkpoint on the validation set",
    "test": "measure a checkpoint on the test set",
    "predict": "write a checkpoint's predictions to predictions.csv",
    "sweep": "train the runs of a W&B sweep without a server: grok sweep configs/sweeps/toy_grid.yaml",
    "diagram": "train a grid of runs: grok diagram --config configs/diagrams/figure5a_small.yaml",
    "theory": "predict from training sets alone: grok theory --config configs/theory_addition.yaml",
    "report": "write a run or a diagram as one HTML file to explore: grok report runs/toy_addition",
    "completion": "print a script with which a shell completes all of this: grok completion bash",
}

OWN_COMMANDS = {
    "sweep": "grokking_pl.sweeps.command",
    "diagram": "grokking_pl.population.diagram",
    "theory": "grokking_pl.theory.command",
    "report": "grokking_pl.report.command",
    "completion": "grokking_pl.completion",
}
"""The module whose function ``run`` takes the command's arguments; the others are the trainer's, by LightningCLI."""


def fail(message: str, status: int = 2) -> NoReturn:
    """Leave with one line that says what is wrong."""
    print(f"grok: error: {message}", file=sys.stderr)
    sys.exit(status)
