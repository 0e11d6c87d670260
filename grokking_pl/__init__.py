"""A laboratory for grokking: representations, effective theory, phases.

``import grokking_pl as gp`` is cheap: the names in ``__all__`` are imported at first use.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from grokking_pl.importing import without_collecting

__version__ = "0.1.0"

if TYPE_CHECKING:  # for editors and type checkers; keep in step with `_HOMES`
    from grokking_pl import callbacks, data, errors, experiments, metrics, models, plots, runs, tasks, theory, training
    from grokking_pl.errors import UserError
    from grokking_pl.interface.calls import compare, diagram, fit
    from grokking_pl.interface.diagram import Diagram
    from grokking_pl.interface.loading import load
    from grokking_pl.interface.measures import (
        effective_dimension,
        explained_variance,
        fourier_power,
        ideal_accuracy,
        key_frequencies,
        predicted_accuracy,
        rqi,
    )
    from grokking_pl.interface.run import Run
    from grokking_pl.metrics import Phase, Representation
    from grokking_pl.training import GrokkingModule, GroupOptions, Schedule

_PACKAGES = (
    "callbacks", "data", "errors", "experiments", "metrics", "models", "plots", "runs", "tasks", "theory", "training",
)  # fmt: skip

_HOMES = {
    "Diagram": "interface.diagram",
    "GrokkingModule": "training",
    "GroupOptions": "training",
    "Phase": "metrics",
    "Representation": "metrics",
    "Run": "interface.run",
    "Schedule": "training",
    "UserError": "errors",
    "compare": "interface.calls",
    "diagram": "interface.calls",
    "effective_dimension": "interface.measures",
    "explained_variance": "interface.measures",
    "fit": "interface.calls",
    "fourier_power": "interface.measures",
    "ideal_accuracy": "interface.measures",
    "key_frequencies": "interface.measures",
    "load": "interface.loading",
    "predicted_accuracy": "interface.measures",
    "rqi": "interface.measures",
}
"""The module of each name."""

__all__ = [
    "Diagram",
    "GrokkingModule",
    "GroupOptions",
    "Phase",
    "Representation",
    "Run",
    "Schedule",
    "UserError",
    "callbacks",
    "compare",
    "data",
    "diagram",
    "effective_dimension",
    "errors",
    "experiments",
    "explained_variance",
    "fit",
    "fourier_power",
    "ideal_accuracy",
    "key_frequencies",
    "load",
    "metrics",
    "models",
    "plots",
    "predicted_accuracy",
    "rqi",
    "runs",
    "tasks",
    "theory",
    "training",
]


def __getattr__(name: str) -> Any:
    """Import a public name at first use."""
    if name in _PACKAGES:
        with without_collecting():
            return import_module(f"{__name__}.{name}")
    if name in _HOMES:
        with without_collecting():
            value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *globals()})


if "IPython" in sys.modules:
    import_module(f"{__name__}.interface.notebook").show_figures()
