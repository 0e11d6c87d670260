"""Weight decay towards the initial weights instead of zero."""

from torch import Tensor

from grokking_pl.errors import require_at_least
from grokking_pl.training.interventions.intervention import Group, Intervention, State, Tensors


class DecayToInitial(Intervention):
    """Pull the weights towards their initial values after every update: w <- w + rate (w_0 - w).

    With learning rate lr, rate = lr * decay corresponds to decoupled weight decay of strength ``decay``, but towards
    w_0 instead of zero.

    Args:
        rate: fraction of the distance per update.
        group: parameters to decay.

    Raises:
        UserError: rate is not in [0, 1).
    """

    def __init__(self, rate: float = 1e-3, group: Group = "all") -> None:
        super().__init__(group)
        require_at_least("DecayToInitial", "rate", rate, 0, below=1)
        self.rate = rate

    def initial_state(self, weights: Tensors, seed: int) -> State:
        """The initial weights."""
        return {"initial": {name: weight.clone() for name, weight in weights.items()}}

    def change_weights(self, weights: Tensors, state: State, step: Tensor) -> Tensors:
        """Apply the decay."""
        initial = state["initial"]
        return {name: weight + self.rate * (initial[name] - weight) for name, weight in weights.items()}
