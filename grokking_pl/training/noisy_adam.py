"""Adam with the weight decays and noise of Power et al. (2022), around PyTorch's kernels."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor

DecayKind = Literal["to_zero", "to_init", "honest", "jiggle"]


class NoisyAdam(torch.optim.Adam):
    """Adam with a kind of weight decay and update noise per group.

    With learning rate eta, decay lambda, and update direction u = m / (1 - beta_1^t) / (sqrt(v) + eps), one step takes
    a weight w with initial value w_0 first to

    - w (1 - eta lambda): "to_zero", the decoupled decay of AdamW;
    - w + (w_0 - w) eta lambda: "to_init";
    - w exp(eta lambda n) with one normal number n per tensor: "jiggle";
    - w, with lambda w added to the gradient: "honest";

    and then to w - eta (u + noise_factor n / (1 - beta_1^t)), with one normal number n per weight.

    Args:
        groups: parameter groups with lr, betas, eps, weight_decay, weight_decay_kind and noise_factor.
        fused: use PyTorch's fused kernel if no group has noise, "jiggle" or "to_init" decay.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], fused: bool = True) -> None:
        groups = [dict(group) for group in groups]
        # PyTorch's kernels have two of the kinds; the others are applied around them, with separate strengths.
        for group in groups:
            kind = group.setdefault("weight_decay_kind", "to_zero")
            group.setdefault("noise_factor", 0.0)
            group["decoupled_weight_decay"] = kind == "to_zero"
            group["own_decay"] = group.get("weight_decay", 0.0) if kind in ("to_init", "jiggle") else 0.0
            if group["own_decay"]:
                group["weight_decay"] = 0.0
        plain = not any(group["own_decay"] or group["noise_factor"] for group in groups)
        # With a gradient scaler a fused kernel skips steps by itself, but not the code around it.
        super().__init__(groups, fused=fused and plain)
        self._plain = plain

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Perform one update."""
        if self._plain:
            return super().step(closure)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        first = self._decay()
        super().step()
        for weight, initial in first.items():
            self.state[weight]["init"] = initial
        self._add_noise()
        return loss

    def _decay(self) -> dict[Tensor, Tensor]:
        """Apply the decays that PyTorch lacks; return the initial values of weights not updated before."""
        first = {}
        for group in self.param_groups:
            strength = group["lr"] * group["own_decay"]
            for weight in group["params"]:
                if not group["own_decay"] or weight.grad is None:
                    continue
                if group["weight_decay_kind"] == "jiggle":
                    weight.mul_(torch.exp(strength * torch.randn((), device=weight.device)))
                elif "init" in self.state[weight]:
                    weight.lerp_(self.state[weight]["init"], strength)
                else:
                    first[weight] = weight.clone()
        return first

    def _add_noise(self) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                if group["noise_factor"] and weight.grad is not None:
                    size = group["lr"] / (1 - group["betas"][0] ** float(self.state[weight]["step"]))
                    weight.sub_(torch.randn_like(weight), alpha=size * group["noise_factor"])
