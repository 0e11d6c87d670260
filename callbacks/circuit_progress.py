"""Base class of callbacks that measure a circuit, from a network's activations for all pairs of symbols."""

from abc import abstractmethod
from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grokking_pl.callbacks.measurement import Measurement
from grokking_pl.callbacks.reporting import keep_arrays, writes_files
from grokking_pl.errors import UserError, require_above
from grokking_pl.metrics.pair_spectrum import EXPLAINED
from grokking_pl.training import pair_activations


class CircuitProgress(Measurement):
    """Measures how much of an operation a network does with its key terms; subclasses define the terms.

    A term is a frequency or an irreducible representation. Terms are numbered from 1; 0 is the constant.

    Args:
        every_n_steps: steps between measurements.
        keys: key terms; null to find them at each measurement.
        factor: multiple of the fraction for random weights that defines key terms.

    Raises:
        UserError: a parameter is out of range, the data do not suit, or the network reads no pairs.
    """

    def __init__(self, every_n_steps: int, keys: list[int] | None, factor: float) -> None:
        super().__init__(every_n_steps)
        require_above(type(self).__name__, "factor", factor, 1)
        self.given_keys = keys
        self.factor = factor
        self.state["keys"] = []
        self.state["neurons"] = {}
        self.state["spectra"] = {}
        self.state["circuit"] = {}

    # Defined by subclasses.

    @abstractmethod
    def check(self, data: Any) -> None:
        """Raise a `UserError` unless the data's operation has such terms and the given keys are among them."""

    @abstractmethod
    def pair_power(self, values: Float[Tensor, "p p n"]) -> Float[Tensor, "k k n"]:
        """The power of functions of a pair in each term of a (rows) and of b (columns)."""

    @abstractmethod
    def power(self, embeddings: Float[Tensor, "p d"]) -> Float[Tensor, " terms"]:
        """The fraction of the embeddings' power in each term except the constant."""

    @abstractmethod
    def random_power(self) -> Float[Tensor, " terms"]:
        """The expected fractions for random embeddings."""

    @abstractmethod
    def neurons(self, activations: Float[Tensor, "p p n"]) -> tuple[Int[Tensor, " n"], Float[Tensor, " n"]]:
        """The term that explains most of each neuron's variance, and the fraction explained."""

    @abstractmethod
    def losses(self, outputs: Float[Tensor, "p p outputs"], keys: list[int]) -> dict[str, float]:
        """The restricted and excluded loss."""

    def further(self, pl_module: Any) -> dict[str, float]:
        """Further values to log, computed from the weights."""
        return {}

    # Measurement.

    def require(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the data and the keys."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        self.check(data)
        if not hasattr(pl_module, "network"):
            name = type(self).__name__
            raise UserError(f"{name} needs a module with a network, and {type(pl_module).__name__} has none")

    def start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Prepare the tables of all pairs."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        table = data.table
        train = torch.zeros(table.p, table.p, dtype=torch.bool)
        train[table.a[data.train_indices], table.b[data.train_indices]] = True
        self._train: Bool[Tensor, "p p"] = train
        results = torch.zeros(table.p, table.p, dtype=torch.long)
        results[table.a, table.b] = table.c
        self._results: Int[Tensor, "p p"] = results

    def measure(self, trainer: pl.Trainer, pl_module: Any) -> dict[str, float]:
        """The current values."""
        plugin: Any = trainer.precision_plugin
        with plugin.forward_context():
            try:
                found = pair_activations(pl_module)
            except UserError as error:
                raise UserError(f"{type(self).__name__}: {error}") from None
        outputs = found.pop("outputs").float()
        circuit: dict[str, Tensor] = {}
        spectrum = self.pair_power(outputs).sum(-1)
        shares = (
            self.power(pl_module.representation.embeddings) if getattr(pl_module, "has_representation", False) else None
        )
        keys = self._keys(spectrum.diagonal()[1:] if shares is None else shares)
        of_key = torch.tensor(keys, dtype=torch.long, device=spectrum.device)
        variance = spectrum.sum() - spectrum[0, 0]
        values = {"num_keys": len(keys), "logit_key_power": float(spectrum[of_key, of_key].sum() / variance)}
        if keys and pl_module.class_targets is None:
            values |= self.losses(outputs, keys)
        if shares is not None:
            self.state["spectra"] = {**self.state["spectra"], trainer.global_step: shares.cpu()}
        values |= self.further(pl_module)
        neurons = [activations for name, activations in found.items() if not name.endswith("attention")]
        if neurons:
            last = neurons[-1].float().flatten(2, -2)[:, :, -1] if neurons[-1].ndim > 3 else neurons[-1].float()
            term, share = self.neurons(last)
            values["periodic_neurons"] = float((share >= EXPLAINED).float().mean())
            values["neuron_share"] = float(share.mean())
            circuit |= {"neuron_frequency": term, "neuron_share": share}
            numbers = torch.bincount(term[share >= EXPLAINED]).tolist()
            self.state["neurons"] = {k: number for k, number in enumerate(numbers) if number}
        patterns = [attention for name, attention in found.items() if name.endswith("attention")]
        if patterns:
            circuit["attention"] = patterns[-1][:, :, :, -1, 0].movedim(2, 0)
        if outputs.shape[2] >= len(self._train):
            circuit["logits"] = outputs.gather(2, self._results.to(outputs.device)[..., None])[..., 0]
        circuit["logit_spectrum"] = spectrum
        self.state["circuit"] = {name: value.detach().cpu() for name, value in circuit.items()}
        self.state["keys"] = keys
        return values

    def arrays(self) -> dict[str, Tensor]:
        """Further arrays for the report."""
        return {}

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the data of the report.

        Raises:
            UserError: the disk is full or the folder is gone.
        """
        if self.state["circuit"] and writes_files(trainer):
            spectra = self.state["spectra"]
            over_time = (
                {"steps": torch.tensor(list(spectra)), "spectra": torch.stack(list(spectra.values()))}
                if spectra
                else {}
            )
            arrays = {**over_time, **self.state["circuit"], **self.arrays()}
            keep_arrays(trainer, "circuit.npz", **{name: value.numpy() for name, value in arrays.items()})

    def status(self) -> dict[str, str]:
        """The restricted loss."""
        return {"restricted": f"{self.values['restricted_loss']:.2g}"} if "restricted_loss" in self.values else {}

    def _keys(self, power: Float[Tensor, " terms"]) -> list[int]:
        """The given terms, or those with more than ``factor`` times the power of random weights."""
        if self.given_keys is not None:
            return self.given_keys
        is_key = power > self.factor * self.random_power().to(power) * power.sum()
        return [int(k) + 1 for k in is_key.nonzero()[:, 0]]
