"""One member of a population: the network, data and optimizer that ``grok fit`` would build for it."""

import copy
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningArgumentParser
from torch import Tensor

from grokking_pl.data.batches import IndexStream
from grokking_pl.data.datamodule import TensorDataModule
from grokking_pl.errors import UserError
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
    """Builds members from settings of ``grok fit``: the sections ``model`` and ``data`` of its configuration files."""

    def __init__(self) -> None:
        self._parser = LightningArgumentParser(allow_abbrev=False, exit_on_error=False)
        self._parser.add_lightning_class_args(LightningModule, "model", subclass_mode=True, required=True)
        self._parser.add_lightning_class_args(LightningDataModule, "data", subclass_mode=True, required=True)
        self._build = lru_cache(maxsize=16)(self._build_uncached)

    def complete(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Check settings and fill in the defaults.

        Raises:
            UserError: an option does not exist or has a value of the wrong type.
        """
        config = self._parse({name: settings[name] for name in ("model", "data") if name in settings})
        return json.loads(self._parser.dump(config, skip_none=False, format="json"))

    def build(self, index: int, settings: dict[str, Any], seed: int) -> Member:
        """Build a member.

        Args:
            index: its number.
            settings: ``model`` and ``data`` as in a configuration file.
            seed: what ``seed_everything`` is for a single run.

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

    def _parse(self, settings: dict[str, Any]) -> Namespace:
        try:
            return self._parser.parse_object(copy.deepcopy(settings))
        except Exception as error:
            from grokking_pl.lightning_cli import find_user_error, one_line

            raise find_user_error(error) or UserError(one_line(str(error), [])) from None

    def _build_uncached(self, text: str, seed: int) -> tuple[GrokkingModule, TensorDataModule, IndexStream]:
        try:
            parts = self._parser.instantiate_classes(self._parse(json.loads(text)))
        except Exception as error:
            from grokking_pl.lightning_cli import find_user_error

            found = find_user_error(error)
            if found is None:
                raise
            raise found from None
        module, data = parts.model, parts.data
        check_trainable(module, data)
        with global_seed_of(seed):
            data.prepare_data()
            data.setup("fit")
            module.build(data.sizes, data.class_targets)
            return module, data, data.index_stream()


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


@contextmanager
def global_seed_of(seed: int) -> Iterator[None]:
    """Let ``seed`` be what ``seed_everything`` set, without touching any random generator."""
    before = os.environ.get("PL_GLOBAL_SEED")
    os.environ["PL_GLOBAL_SEED"] = str(seed)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PL_GLOBAL_SEED"]
        else:
            os.environ["PL_GLOBAL_SEED"] = before


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
