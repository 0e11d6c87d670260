"""Progress measures of a modular addition circuit (Nanda et al., 2023, arXiv 2301.05217)."""

from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grokking_pl.callbacks.measurement import Measurement
from grokking_pl.callbacks.reporting import keep_arrays, writes_files
from grokking_pl.errors import UserError
from grokking_pl.metrics import (
    excluded_loss,
    fourier_norms,
    fourier_power,
    gini,
    inverse_participation_ratio,
    key_frequencies,
    neuron_frequencies,
    pair_spectrum,
    restricted_loss,
)
from grokking_pl.metrics.restricted_loss import check_frequencies
from grokking_pl.training import pair_activations

EXPLAINED = 0.85
"""Fraction of a neuron's variance above which a frequency explains it, as in section 4.3 of their paper."""


class FourierProgress(Measurement):
    """Logs how much of modular addition a network does with its key frequencies, and its sparsity in frequency space.

    For data of addition modulo p. Each measurement takes one forward pass over all p^2 pairs and two transforms, as
    long as three training steps of the transformer of Nanda et al. (0.35 s on one core). The columns are

    - ``restricted_loss``, over all pairs, and ``excluded_loss``, over the training pairs, if there are key frequencies
      and the targets are classes;
    - ``logit_key_power``, the fraction of the variance of the outputs in cos(w (a + b)) and sin(w (a + b)) and the
      other products of the same key frequency of a and b;
    - ``embedding_gini`` and ``embedding_participation``, Gini coefficient and inverse participation ratio of the
      embeddings' norms by frequency, if there are embeddings;
    - ``periodic_neurons``, the fraction of the neurons of the last nonlinearity, at the last token, with 85 % of their
      variance explained by one frequency, and ``neuron_share``, the mean fraction explained.

    At the end ``circuit.npz`` holds the data of the report: ``steps`` (n) and ``spectra`` (n x floor(p / 2)), the
    fraction of the embeddings' power at each frequency; and for the last step ``logits`` (p x p), the correct output of
    each pair; ``logit_spectrum``, the power of all outputs at each frequency of a (rows) and b; ``neuron_frequency``
    and ``neuron_share``; and for a transformer ``attention`` (heads x p x p), the attention of the last token to a.

    Args:
        every_n_steps: steps between measurements.
        frequencies: key frequencies; null for those of the embeddings at each measurement, or of the outputs if there
            are no embeddings.
        factor: multiple of the uniform share that defines key frequencies.

    Raises:
        UserError: a parameter is out of range, the data are not addition modulo p, or the network reads no pairs.
    """

    def __init__(self, every_n_steps: int = 100, frequencies: list[int] | None = None, factor: float = 3.0) -> None:
        super().__init__(every_n_steps)
        if not factor > 1:
            raise UserError(f"FourierProgress: factor is {factor}; it must be above 1")
        self.frequencies = frequencies
        self.factor = factor
        self.state["keys"] = []
        self.state["neurons"] = {}
        self.state["spectra"] = {}
        self.state["circuit"] = {}

    def start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that the data are modular addition."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        table = getattr(data, "table", None)
        if table is None or table.num_results != table.p or not torch.equal(table.c, (table.a + table.b) % table.p):
            what = type(data).__name__ if table is None else table.name
            raise UserError(f"FourierProgress needs addition modulo p, such as modular_addition, not {what}")
        if not hasattr(pl_module, "network"):
            raise UserError(f"FourierProgress needs a module with a network, but {type(pl_module).__name__} has none")
        try:
            if self.frequencies is not None:
                check_frequencies(self.frequencies, table.p)
        except UserError as error:
            raise UserError(f"FourierProgress: {error}") from None
        train = torch.zeros(table.p, table.p, dtype=torch.bool)
        train[table.a[data.train_indices], table.b[data.train_indices]] = True
        self._train: Bool[Tensor, "p p"] = train

    def measure(self, trainer: pl.Trainer, pl_module: Any) -> dict[str, float]:
        """The current values."""
        plugin: Any = trainer.precision_plugin
        with plugin.forward_context():
            try:
                found = pair_activations(pl_module)
            except UserError as error:
                raise UserError(f"FourierProgress: {error}") from None
        outputs = found.pop("outputs").float()
        circuit: dict[str, Tensor] = {}
        spectrum = pair_spectrum(outputs).sum(-1)
        embeddings = pl_module.representation.embeddings if pl_module.has_representation else None
        keys = self._keys(embeddings, spectrum)
        of_key = torch.tensor(keys, dtype=torch.long, device=spectrum.device)
        variance = spectrum.sum() - spectrum[0, 0]
        values = {"num_keys": len(keys), "logit_key_power": float(spectrum[of_key, of_key].sum() / variance)}
        if keys and pl_module.class_targets is None:
            values["restricted_loss"] = float(restricted_loss(outputs, keys))
            values["excluded_loss"] = float(excluded_loss(outputs, keys, self._train))
        if embeddings is not None:
            norms = fourier_norms(embeddings)
            shares = fourier_power(embeddings).detach().cpu()
            self.state["spectra"] = {**self.state["spectra"], trainer.global_step: shares}
            values["embedding_gini"] = float(gini(norms))
            values["embedding_participation"] = float(inverse_participation_ratio(norms))
        neurons = [values for name, values in found.items() if not name.endswith("attention")]
        if neurons:
            last = neurons[-1].float().flatten(2, -2)[:, :, -1] if neurons[-1].ndim > 3 else neurons[-1].float()
            frequency, share = neuron_frequencies(last)
            values["periodic_neurons"] = float((share >= EXPLAINED).float().mean())
            values["neuron_share"] = float(share.mean())
            circuit |= {"neuron_frequency": frequency, "neuron_share": share}
            numbers = torch.bincount(frequency[share >= EXPLAINED]).tolist()
            self.state["neurons"] = {k: number for k, number in enumerate(numbers) if number}
        patterns = [values for name, values in found.items() if name.endswith("attention")]
        if patterns:
            circuit["attention"] = patterns[-1][:, :, :, -1, 0].movedim(2, 0)
        if outputs.shape[2] >= len(self._train):
            circuit["logits"] = _right_outputs(outputs)
        circuit["logit_spectrum"] = spectrum
        self.state["circuit"] = {name: value.detach().cpu() for name, value in circuit.items()}
        self.state["keys"] = keys
        return values

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
            arrays = {name: value.numpy() for name, value in {**over_time, **self.state["circuit"]}.items()}
            keep_arrays(trainer, "circuit.npz", **arrays)

    def status(self) -> dict[str, str]:
        """The restricted loss."""
        return {"restricted": f"{self.values['restricted_loss']:.2g}"} if "restricted_loss" in self.values else {}

    def summary(self) -> dict[str, Any]:
        """The last values, the key frequencies, and the number of periodic neurons at each frequency."""
        values = super().summary()
        if not values:
            return {}
        neurons = {str(k): number for k, number in self.state["neurons"].items()}
        return {**values, "keys": self.state["keys"], "neurons_by_frequency": neurons}

    def _keys(self, embeddings: Tensor | None, spectrum: Tensor) -> list[int]:
        if self.frequencies is not None:
            return self.frequencies
        if embeddings is None:
            diagonal = spectrum.diagonal()[1:]
            total = diagonal.sum()
            is_key = diagonal > self.factor * total / len(diagonal)
        else:
            is_key = key_frequencies(embeddings.detach(), self.factor)
        return [int(k) + 1 for k in is_key.nonzero()[:, 0]]


def _right_outputs(outputs: Float[Tensor, "p p outputs"]) -> Float[Tensor, "p p"]:
    """The output for each pair's correct result."""
    symbols = torch.arange(len(outputs), device=outputs.device)
    results = (symbols[:, None] + symbols) % len(outputs)
    return outputs.gather(2, results[..., None])[..., 0]
