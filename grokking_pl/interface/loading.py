"""Loading the folder of a run or diagram as an object."""

import os
from pathlib import Path

from grokking_pl.interface.diagram import Diagram
from grokking_pl.interface.run import Run
from grokking_pl.report.writing import kind_of


def load(folder: str | os.PathLike[str]) -> Run | Diagram:
    """Load a run of `grok fit` or a diagram of `grok diagram` from its folder, finished or not.

    Raises:
        UserError: the folder is neither, or does not exist.
    """
    path = Path(folder)
    return Diagram(path) if kind_of(path) == "diagram" else Run(path)
