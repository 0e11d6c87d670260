"""The optimizers that a batch of runs supports, and their update rules."""

from typing import NamedTuple

import torch

from grokking_pl.errors import UserError
from grokking_pl.population.adam import AdamRule
from grokking_pl.population.lion import LionRule
from grokking_pl.population.muon import MuonRule
from grokking_pl.population.sgd import SGDRule
from grokking_pl.population.update_rule import UpdateRule
from grokking_pl.training import GroupOptions, Lion
from grokking_pl.training.optimizer import Optimization, resolve

RULES = {
    torch.optim.Adam: AdamRule.of,
    torch.optim.AdamW: AdamRule.of,
    torch.optim.SGD: SGDRule.of,
    Lion: LionRule.of,
    torch.optim.Muon: MuonRule.of,
}


class Update(NamedTuple):
    """Update of one part of a network.

    Attributes:
        rule: update rule.
        options: options of the rule; the first is the learning rate.
    """

    rule: UpdateRule
    options: tuple[float, ...]


def updates_of(group: str, optimization: Optimization) -> dict[str, Update]:
    """The updates of a group's parts, by name: the group, and under Muon also its non-matrices.

    Raises:
        UserError: the optimizer is not supported.
    """
    kind, options = resolve(optimization)
    if kind not in RULES:
        raise UserError(
            f"a diagram cannot train with {kind.__name__}: choose {', '.join(rule.__name__ for rule in RULES)}, or "
            "train with grok fit or grok sweep"
        )
    updates = {group: Update(*RULES[kind](kind, options))}
    if kind is torch.optim.Muon:
        rest = GroupOptions(options["lr"], options["weight_decay"])
        updates |= updates_of(f"{group}_vectors", rest)
    return updates
