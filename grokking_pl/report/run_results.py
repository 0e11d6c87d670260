"""Results of a run, read from its folder with standard tools."""

import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from jaxtyping import Float, Int

from grokking_pl.errors import UserError
from grokking_pl.metrics.phases import Phase
from grokking_pl.runs.files import whole_lines
from grokking_pl.runs.folder import RunFolder
from grokking_pl.theory import Trajectories


@dataclass(frozen=True)
class Embeddings:
    """The embeddings of a run over steps.

    Args:
        steps: updates made, ascending (n).
        values: embeddings at each step (n x p x d); those with several dimensions per symbol are flattened.
        symbols: name of each symbol (p).
    """

    steps: Int[np.ndarray, " n"]
    values: Float[np.ndarray, "n p d"]
    symbols: tuple[str, ...]

    def at(self, step: int) -> Float[np.ndarray, "p d"]:
        """The embeddings at the step nearest to ``step``."""
        nearest: Float[np.ndarray, "p d"] = self.values[abs(self.steps - step).argmin()]
        return nearest


@dataclass(frozen=True)
class Circuit:
    """A network's circuit, as written by ``FourierProgress`` or ``IrrepProgress``; None for missing parts.

    Args:
        logit_spectrum: power of the outputs at each frequency of a and b, or in each irreducible representation.
        steps: steps of the spectra.
        spectra: fraction of the embeddings' power in each term except the constant, at each step.
        logits: correct output of each pair.
        attention: attention of the last token to a, by head and pair.
        neuron_frequency: frequency or representation of each neuron; 0 for none.
        neuron_share: fraction of its variance explained by it.
        dimensions: dimensions of the representations; None if the terms are frequencies.
    """

    logit_spectrum: Float[np.ndarray, "k l"]
    steps: np.ndarray | None = None
    spectra: np.ndarray | None = None
    logits: np.ndarray | None = None
    attention: np.ndarray | None = None
    neuron_frequency: np.ndarray | None = None
    neuron_share: np.ndarray | None = None
    dimensions: np.ndarray | None = None

    @property
    def term(self) -> str:
        """The word for a term."""
        return "frequency" if self.dimensions is None else "representation"

    @property
    def names(self) -> list[str]:
        """The name of each term, the constant first."""
        count = len(self.logit_spectrum)
        if self.dimensions is None:
            return [str(k) for k in range(count)]
        return [f"{k} (d = {d})" for k, d in enumerate(self.dimensions.tolist())]


@dataclass(frozen=True)
class RunResults:
    """The results of a run; whatever its folder lacks is empty or None.

    Args:
        path: folder of the run.
        summary: outcome.
        metrics: one row per step, ascending.
        config: full configuration.
        snapshots: embeddings over steps.
        trajectories: trajectories written by the callback ``EffectiveTheory``.
        circuit: results of the callback ``FourierProgress`` or ``IrrepProgress``.
    """

    path: Path
    summary: dict[str, Any]
    metrics: pd.DataFrame
    config: dict[str, Any] = field(default_factory=dict)
    snapshots: Embeddings | None = None
    trajectories: Trajectories | None = None
    circuit: Circuit | None = None

    def options_of(self, callback: str) -> dict[str, Any] | None:
        """The options of a callback in the run; None if it was not used."""
        for settings in (self.config.get("trainer") or {}).get("callbacks") or []:
            if isinstance(settings, dict) and str(settings.get("class_path", "")).rsplit(".", 1)[-1] == callback:
                return settings.get("init_args") or {}
        return None


def read_run(path: Path) -> RunResults:
    """Read the folder of a run, finished or not.

    Raises:
        UserError: a file is corrupt.
    """
    folder = RunFolder(path)
    return RunResults(
        path,
        _read_summary(folder.summary),
        _with_measures(_read_metrics(folder.metrics), _read_metrics(folder.measures)),
        _read_config(folder.config),
        _read_snapshots(path / "embeddings.npz"),
        _read_trajectories(path / "trajectories.npz"),
        _read_circuit(path / "circuit.npz"),
    )


def _read_summary(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise corrupt(path, "not valid JSON") from None
    if not isinstance(summary, dict):
        raise corrupt(path, "it has no names and values")
    if summary.get("phase", "confusion") not in set(map(str, Phase)):
        raise corrupt(path, f"unknown phase {summary['phase']!r}")
    return summary


def _read_metrics(path: Path) -> pd.DataFrame:
    if not path.exists():
        return pd.DataFrame({"step": []})
    try:
        frame = pd.read_csv(io.StringIO(whole_lines(path)), on_bad_lines="skip")
    except (OSError, ValueError):
        raise corrupt(path, "not valid CSV") from None
    if "step" not in frame:
        raise corrupt(path, "it has no step column")
    if len(frame) and not pd.api.types.is_numeric_dtype(frame["step"]):
        raise corrupt(path, "its steps are not numbers")
    if "phase_name" in frame and not set(frame["phase_name"].dropna()) <= set(map(str, Phase)):
        raise corrupt(path, "it has an unknown phase")
    return frame.dropna(subset="step").sort_values("step", kind="stable")


def _with_measures(metrics: pd.DataFrame, measures: pd.DataFrame) -> pd.DataFrame:
    """The metrics, merged with later measurements by ``grok measure``."""
    if measures.empty:
        return metrics
    both = measures.set_index("step").combine_first(metrics.set_index("step"))
    return both.reset_index().sort_values("step", kind="stable")


def _read_config(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        raise corrupt(path, "not valid YAML") from None
    return config if isinstance(config, dict) else {}


def _read_snapshots(path: Path) -> Embeddings | None:
    arrays = _read_arrays(path, ("steps", "embeddings", "symbols"))
    if arrays is None:
        return None
    steps, embeddings, symbols = (arrays[name] for name in ("steps", "embeddings", "symbols"))
    if embeddings.ndim < 3 or embeddings.shape[:2] != (len(steps), len(symbols)) or not len(steps):
        raise corrupt(path, f"{len(steps)} steps and {len(symbols)} symbols, but embeddings {embeddings.shape}")
    flat = embeddings.reshape(*embeddings.shape[:2], -1).astype(float)
    finite = np.isfinite(flat).all((1, 2))
    if not finite.any():
        return None
    return Embeddings(steps[finite].astype(int), flat[finite], tuple(map(str, symbols)))


def _read_trajectories(path: Path) -> Trajectories | None:
    names = ("theory_steps", "theory", "network_steps", "network")
    arrays = _read_arrays(path, (*names, "symbols"))
    if arrays is None:
        return None
    theory_steps, theory, network_steps, network = (arrays[name] for name in names)
    return Trajectories(theory_steps, theory, network_steps, network, tuple(map(str, arrays["symbols"])))


def _read_circuit(path: Path) -> Circuit | None:
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in Circuit.__dataclass_fields__ if name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        raise corrupt(path, "not an archive of arrays") from None
    if "logit_spectrum" not in arrays:
        raise corrupt(path, "it lacks logit_spectrum")
    finite = all(np.isfinite(array).all() for array in arrays.values())
    return Circuit(**arrays) if finite else None


def _read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except KeyError as error:
        raise corrupt(path, f"it lacks {error.args[0]}") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        raise corrupt(path, "not an archive of arrays") from None


def corrupt(path: Path, reason: str) -> UserError:
    """The error for a file that cannot be read."""
    return UserError(f"{path} is corrupt ({reason}): move it away to leave its part out of the report")
