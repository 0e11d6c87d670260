"""One member of a population: an experiment, and what tells which others can be trained in the same batch."""

import copy
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from grokking_pl.data.batches import IndexStream
from grokking_pl.data.datamodule import TensorDataModule
from grokking_pl.errors import UserError
from grokking_pl.experiments import ExperimentBuilder, Settings
from grokking_pl.training import GrokkingModule, GroupOptions

GROUPS = ("embeddings", "decoder")


@dataclass(frozen=True)
class Member:
    """One run of a population.

    Args:
        index: its number in the population.
        module: the module with its initial weights; members that differ in optimisation alone share one.
        data: its samples, shared likewise.
        indices: which training samples each of its batches takes.
        options: how each group of parameters is optimised.
        kind: members of one kind can be trained as one batch.
    """

    index: int
    module: GrokkingModule
    data: TensorDataModule
    indices: IndexStream
    options: dict[str, GroupOptions]
    kind: str


class MemberBuilder:
    """Builds members from settings of ``grok fit``."""

    def __init__(self) -> None:
        self._experiments = ExperimentBuilder()
        self._build = lru_cache(maxsize=16)(self._build_uncached)

    def complete(self, settings: Settings) -> Settings:
        """As `ExperimentBuilder.complete`."""
        return self._experiments.complete(settings)

    def build(self, index: int, settings: Settings, seed: int) -> Member:
        """Build a member.

        Args:
            index: its number.
            settings: ``model`` and ``data`` as in a configuration file.
            seed: of the run.

        Raises:
            UserError: a setting is wrong, or the module trains in a way of its own.
        """
        shared = copy.deepcopy(settings)
        given = shared["model"].get("init_args", {})
        chosen = {name: self._group(name, given.pop(name, None)) for name in GROUPS}
        module, data, indices = self._build(json.dumps(shared, sort_keys=True), seed)
        options = {name: chosen[name] or getattr(module, f"{name}_options") for name in GROUPS}
        whole = min(data.batch_size or data.num_train, data.num_train) == data.num_train
        shapes = [list(tensor.shape) for tensor in (data.inputs, data.class_targets) if tensor is not None]
        batch = None if whole else data.batch_size
        kind = json.dumps([shared["model"], shapes, str(data.sizes), batch], sort_keys=True)
        return Member(index, module, data, indices, options, kind)

    def _group(self, name: str, given: dict[str, Any] | None) -> GroupOptions | None:
        if given is None:
            return None
        defaults = {"decoupled": False} if name == "embeddings" else {}
        return GroupOptions(**{**defaults, **given, "betas": tuple(given.get("betas", (0.9, 0.999)))})

    def _build_uncached(self, text: str, seed: int) -> tuple[GrokkingModule, TensorDataModule, IndexStream]:
        experiment = self._experiments.instantiate(json.loads(text), seed)
        check_trainable(experiment.module, experiment.data)
        experiment.build()
        return experiment.module, experiment.data, experiment.data.index_stream()


def check_trainable(module: Any, data: Any) -> None:
    """Raise a `UserError` unless the module's training step is the one that populations know."""
    if not isinstance(data, TensorDataModule) or not isinstance(module, GrokkingModule):
        raise UserError(
            f"a population trains a GrokkingModule on a TensorDataModule, and not {type(module).__name__} on "
            f"{type(data).__name__}: derive them from these, or use grok fit"
        )
    for name in ("training_step", "compute_loss", "score", "predict_class", "true_class", "configure_optimizers"):
        if getattr(type(module), name) is not getattr(GrokkingModule, name):
            raise UserError(f"{type(module).__name__} has a {name} of its own, which only grok fit can train")


def initial_parameters(member: Member) -> dict[str, Tensor]:
    """The member's initial parameters, by name."""
    return {name: value.detach().clone() for name, value in member.module.named_parameters()}


def group_of_parameter(module: GrokkingModule) -> dict[str, str]:
    """To which group of the optimizer each parameter belongs, by name."""
    embeddings = {id(parameter) for parameter in module.parameter_groups()["embeddings"]}
    return {
        name: "embeddings" if id(parameter) in embeddings else "decoder"
        for name, parameter in module.named_parameters()
    }


def same_samples(one: TensorDataModule, other: TensorDataModule) -> bool:
    """Whether two datamodules hold the same samples, targets and split."""
    return one is other or (
        one.num_train == other.num_train
        and torch.equal(one.inputs, other.inputs)
        and torch.equal(one.targets, other.targets)
    )
