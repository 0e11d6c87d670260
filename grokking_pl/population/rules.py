"""Which optimizers a population can make the updates of, and how it describes them."""

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
    """How one part of a network is updated.

    Args:
        rule: what an update is.
        options: its numbers; the first is the learning rate.
    """

    rule: UpdateRule
    options: tuple[float, ...]


def updates_of(group: str, optimization: Optimization) -> dict[str, Update]:
    """The updates of the parts of a group, by name: the group, and what is no matrix of a group under Muon.

    Raises:
        UserError: no population can make the updates of this optimizer.
    """
    kind, options = resolve(optimization)
    if kind not in RULES:
        raise UserError(
            f"a population cannot train with {kind.__name__}: choose {', '.join(rule.__name__ for rule in RULES)}, or "
            "train with grok fit or grok sweep"
        )
    updates = {group: Update(*RULES[kind](kind, options))}
    if kind is torch.optim.Muon:
        rest = GroupOptions(options["lr"], options["weight_decay"])
        updates |= updates_of(f"{group}_vectors", rest)
    return updates
