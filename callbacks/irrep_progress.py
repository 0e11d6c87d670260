"""Progress measures of a circuit for a group's operation (Chughtai et al., 2023, arXiv 2302.03025)."""

from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from grokking_pl.callbacks.circuit_progress import CircuitProgress
from grokking_pl.errors import UserError
from grokking_pl.metrics import (
    character_table,
    group_excluded_loss,
    group_pair_spectrum,
    group_restricted_loss,
    irrep_power,
    neuron_irreps,
)
from grokking_pl.metrics.group_restricted_loss import check_irreps


class IrrepProgress(CircuitProgress):
    """Logs how much of a group's operation a network does with its key representations.

    For the operation of any group, such as a symmetric group. Representations are numbered as in `character_table`. A
    measurement costs about as much as one of `FourierProgress`. The columns are

    - ``restricted_loss``, over all pairs, and ``excluded_loss``, over the training pairs, if there are key
      representations and the targets are classes;
    - ``logit_key_power``, the fraction of the variance of the outputs in products of the same key representation of a
      and b, which include all functions of the product a b in it;
    - ``periodic_neurons``, the fraction of the neurons of the last nonlinearity, at the last token, with 85 % of their
      variance explained by one representation, and ``neuron_share``, the mean fraction explained.

    At the end ``circuit.npz`` holds the data of the report, as for `FourierProgress` but with representations instead
    of frequencies, and their ``dimensions``.

    Args:
        every_n_steps: steps between measurements.
        irreps: key representations; null for those of the embeddings at each measurement, or of the outputs if there
            are no embeddings.
        factor: multiple of the fraction for random embeddings that defines key representations.

    Raises:
        UserError: a parameter is out of range, the data's operation is not that of a group, or the network reads no
            pairs.
    """

    def __init__(self, every_n_steps: int = 100, irreps: list[int] | None = None, factor: float = 2.0) -> None:
        super().__init__(every_n_steps, irreps, factor)

    def check(self, data: Any) -> None:
        """Compute the characters."""
        if not hasattr(data, "table"):
            kind = type(data).__name__
            raise UserError(f"IrrepProgress needs the operation table of algorithmic data, but {kind} has none")
        self._table = data.table
        try:
            self._dimensions: Int[Tensor, " irreps"] = character_table(self._table).dimensions
            if self.given_keys is not None:
                check_irreps(self.given_keys, self._table)
        except UserError as error:
            raise UserError(f"IrrepProgress: {error}") from None

    def pair_power(self, values: Float[Tensor, "p p n"]) -> Float[Tensor, "k k n"]:
        """The power in each representation of a and of b."""
        return group_pair_spectrum(values, self._table)

    def power(self, embeddings: Float[Tensor, "p d"]) -> Float[Tensor, " irreps"]:
        """The fraction of the embeddings' power in each representation except the trivial one."""
        return irrep_power(embeddings, self._table)[1:]

    def random_power(self) -> Float[Tensor, " irreps"]:
        """The squared dimension of each, divided by the sum over all except the trivial one."""
        others: int = self._table.p - 1
        return self._dimensions[1:].square() / others

    def neurons(self, activations: Float[Tensor, "p p n"]) -> tuple[Int[Tensor, " n"], Float[Tensor, " n"]]:
        """The representation of each neuron, and the fraction of its variance explained by it."""
        return neuron_irreps(activations, self._table)

    def losses(self, outputs: Float[Tensor, "p p outputs"], keys: list[int]) -> dict[str, float]:
        """The restricted loss over all pairs, and the excluded loss over the training pairs."""
        return {
            "restricted_loss": float(group_restricted_loss(outputs, self._table, keys)),
            "excluded_loss": float(group_excluded_loss(outputs, self._table, keys, self._train)),
        }

    def arrays(self) -> dict[str, Tensor]:
        """The dimension of each representation."""
        return {"dimensions": self._dimensions}

    def summary(self) -> dict[str, Any]:
        """The last values, the key representations, and the number of neurons explained by each."""
        values = super().summary()
        if not values:
            return {}
        neurons = {str(k): number for k, number in self.state["neurons"].items()}
        dimensions = self._dimensions.tolist()
        return {**values, "keys": self.state["keys"], "neurons_by_irrep": neurons, "irrep_dimensions": dimensions}
