"""Progress measures of a modular addition circuit (Nanda et al., 2023, arXiv 2301.05217)."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokking_pl.callbacks.circuit_progress import CircuitProgress
from grokking_pl.errors import UserError
from grokking_pl.metrics import (
    excluded_loss,
    fourier_norms,
    fourier_power,
    gini,
    inverse_participation_ratio,
    neuron_frequencies,
    pair_spectrum,
    restricted_loss,
)
from grokking_pl.metrics.restricted_loss import check_frequencies
from grokking_pl.training import output_weights


class FourierProgress(CircuitProgress):
    """Logs how much of modular addition a network does with its key frequencies, and its sparsity in frequency space.

    For data of addition modulo p. Each measurement takes one forward pass over all p^2 pairs and two transforms, as
    long as three training steps of the transformer of Nanda et al. (0.35 s on one core). The columns are

    - ``restricted_loss``, over all pairs, and ``excluded_loss``, over the training pairs, if there are key frequencies
      and the targets are classes;
    - ``logit_key_power``, the fraction of the variance of the outputs in cos(w (a + b)) and sin(w (a + b)) and the
      other products of the same key frequency of a and b;
    - ``embedding_gini`` and ``embedding_participation``, Gini coefficient and inverse participation ratio of the
      embeddings' norms by frequency, if there are embeddings; ``output_gini`` and ``output_participation``, the same
      for the weights of the last linear layer, over the classes;
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
        super().__init__(every_n_steps, frequencies, factor)

    def check(self, data: Any) -> None:
        """Check that the data are modular addition."""
        table = getattr(data, "table", None)
        if table is None or table.num_results != table.p or not torch.equal(table.c, (table.a + table.b) % table.p):
            what = type(data).__name__ if table is None else table.name
            raise UserError(
                f"FourierProgress needs addition modulo p, such as modular_addition, not {what}; for other groups use "
                "IrrepProgress"
            )
        try:
            if self.given_keys is not None:
                check_frequencies(self.given_keys, table.p)
        except UserError as error:
            raise UserError(f"FourierProgress: {error}") from None
        self._p = table.p

    def pair_power(self, values: Float[Tensor, "p p n"]) -> Float[Tensor, "k k n"]:
        """The power at each frequency of a and of b."""
        return pair_spectrum(values)

    def power(self, embeddings: Float[Tensor, "p d"]) -> Float[Tensor, " frequencies"]:
        """The fraction of the embeddings' power at each frequency."""
        return fourier_power(embeddings)

    def random_power(self) -> Float[Tensor, " frequencies"]:
        """Equal fractions at all frequencies."""
        frequencies = self._p // 2
        return torch.full((frequencies,), 1 / frequencies)

    def neurons(self, activations: Float[Tensor, "p p n"]) -> tuple[Int[Tensor, " n"], Float[Tensor, " n"]]:
        """The frequency of each neuron, and the fraction of its variance explained by it."""
        return neuron_frequencies(activations)

    def losses(self, outputs: Float[Tensor, "p p outputs"], keys: list[int]) -> dict[str, float]:
        """The restricted loss over all pairs, and the excluded loss over the training pairs."""
        return {
            "restricted_loss": float(restricted_loss(outputs, keys)),
            "excluded_loss": float(excluded_loss(outputs, keys, self._train)),
        }

    def further(self, pl_module: Any) -> dict[str, float]:
        """Sparsity of embeddings and output weights in frequency space."""
        embeds = getattr(pl_module, "has_representation", False)
        weights = {"embedding": pl_module.representation.embeddings if embeds else None}
        if pl_module.class_targets is None:
            last = output_weights(pl_module)
            weights["output"] = last if last is None or len(last) < self._p else last[: self._p]
        values = {}
        for name, rows in weights.items():
            if rows is not None:
                norms = fourier_norms(rows.detach())
                values[f"{name}_gini"] = float(gini(norms))
                values[f"{name}_participation"] = float(inverse_participation_ratio(norms))
        return values

    def summary(self) -> dict[str, Any]:
        """The last values, the key frequencies, and the number of periodic neurons at each frequency."""
        values = super().summary()
        if not values:
            return {}
        neurons = {str(k): number for k, number in self.state["neurons"].items()}
        return {**values, "keys": self.state["keys"], "neurons_by_frequency": neurons}
