"""A member of a batch: a run, and the kind that tells which members can share a batch."""

import copy
import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from lightning.pytorch.cli import instantiate_class
from torch import Tensor

from grokking_pl.data.batches import IndexStream
from grokking_pl.data.datamodule import TensorDataModule
from grokking_pl.errors import UserError
from grokking_pl.experiments import ExperimentBuilder, Settings
from grokking_pl.population.honoured import TrainerOptions, check_trainable
from grokking_pl.population.interventions import kind_of_intervention
from grokking_pl.population.options import OptionsReader
from grokking_pl.population.rates import check_schedules
from grokking_pl.population.rules import Update, updates_of
from grokking_pl.training import GrokkingModule, Schedule
from grokking_pl.training.interventions import Intervention
from grokking_pl.training.optimizer import GROUPS, Optimization
from grokking_pl.training.schedule import LRSchedulerFactory

SCHEDULES = ("schedule", "embeddings_schedule", "decoder_schedule")


@dataclass(frozen=True)
class Member:
    """One run of a batch.

    Args:
        index: number of the run.
        module: module with its initial weights; shared by members that differ only in optimisation.
        data: its samples, shared likewise.
        indices: indices of the training samples of each batch.
        updates: update of each part of the parameters, by name, which starts with that of its group.
        schedules: learning rate schedule of each group.
        optimization: optimizer settings of each group.
        trainer: supported trainer options.
        interventions: its interventions.
        seed: seed of the run.
        kind: members of the same kind can be trained as one batch.
    """

    index: int
    module: GrokkingModule
    data: TensorDataModule
    indices: IndexStream
    updates: dict[str, Update]
    schedules: dict[str, Schedule | LRSchedulerFactory | None]
    optimization: dict[str, Optimization]
    trainer: TrainerOptions
    interventions: tuple[Intervention, ...]
    seed: int
    kind: str

    @property
    def batch_size(self) -> int:
        """Samples per training batch; the last of a pass can be smaller."""
        return min(self.data.batch_size or self.data.num_train, self.data.num_train)

    @property
    def takes_all(self) -> bool:
        """Whether each training batch is the full training set."""
        return self.batch_size == self.data.num_train

    @property
    def set_sizes(self) -> tuple[int, int]:
        """Numbers of training and validation samples."""
        return self.data.num_train, len(self.data.inputs) - self.data.num_train


class MemberBuilder:
    """Builds members from `grok fit` settings."""

    def __init__(self) -> None:
        self._experiments = ExperimentBuilder()
        self._options = OptionsReader()
        self._build = lru_cache(maxsize=16)(self._build_uncached)

    def complete(self, settings: Settings) -> Settings:
        """Like `ExperimentBuilder.complete`, with the supported trainer options, if there are any."""
        complete = self._experiments.complete(settings)
        trainer = TrainerOptions.of(settings.get("trainer"))
        changed = {name: value for name, value in vars(trainer).items() if value != getattr(TrainerOptions, name)}
        return complete | ({"trainer": changed} if changed else {})

    def build(self, index: int, settings: Settings, seed: int) -> Member:
        """Build a member.

        Args:
            index: number of the run.
            settings: ``model`` and ``data`` as in a configuration file, and optionally ``trainer``, and the
                interventions by name under ``callbacks``.
            seed: seed of the run.

        Raises:
            UserError: a setting is invalid, or the module overrides training methods.
        """
        shared = copy.deepcopy(settings)
        arguments = shared["model"].setdefault("init_args", {})
        given = {name: arguments.pop(name, None) for name in (*GROUPS, *SCHEDULES)}
        if "compile" in arguments:
            arguments["compile"] = False  # a batch compiles its own step
        trainer = TrainerOptions.of(shared.pop("trainer", None))
        interventions = tuple(instantiate_class((), one) for one in shared.pop("callbacks", {}).values())
        module, data, indices, kind = self._build(json.dumps(shared, sort_keys=True), seed, trainer.dtype)
        optimization = {
            name: getattr(module, f"{name}_options") if given[name] is None else self._options.group(given[name])
            for name in GROUPS
        }
        common = self._options.schedule(given["schedule"])
        schedules = {
            name: self._options.schedule(given[f"{name}_schedule"]) or common or module.schedules[name]
            for name in GROUPS
        }
        updates = {part: u for name in GROUPS for part, u in updates_of(name, optimization[name]).items()}
        check_schedules(optimization, schedules)
        rules = ", ".join(f"{part}: {update.rule}" for part, update in updates.items())
        kinds = ", ".join(map(kind_of_intervention, interventions))
        kind = f"{kind} {rules} {trainer.clipping} {trainer.accumulate_grad_batches} {kinds}"
        member = Member(
            index, module, data, indices, updates, schedules, optimization, trainer, interventions, seed, kind
        )
        check_accumulation(member)
        return member

    def _build_uncached(
        self, text: str, seed: int, dtype: torch.dtype
    ) -> tuple[GrokkingModule, TensorDataModule, IndexStream, str]:
        settings = json.loads(text)
        experiment = self._experiments.instantiate(settings, seed)
        module, data = experiment.module, experiment.data
        check_trainable(module, data)
        experiment.build(dtype)
        if dtype is not torch.float32:
            convert_data(data, dtype)
        return module, data, data.index_stream(), _kind(settings["model"], module, data)


def _kind(model: dict[str, Any], module: GrokkingModule, data: TensorDataModule) -> str:
    """The common part of a batch's members: computation, shapes, and tensors that are not trained."""
    shapes = [list(tensor.shape) for tensor in (data.inputs, data.class_targets) if tensor is not None]
    takes_all = min(data.batch_size or data.num_train, data.num_train) == data.num_train
    digest = hashlib.sha256()
    for _, value in sorted(fixed_tensors(module).items()):
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return json.dumps(
        [
            model,
            shapes,
            str(data.sizes),
            str(next(module.parameters()).dtype),
            None if takes_all else data.batch_size,
            digest.hexdigest(),
        ],
        sort_keys=True,
    )


def convert_data(data: TensorDataModule, dtype: torch.dtype) -> None:
    """Convert the samples to the network's precision, as a trainer does with each batch."""
    for name in ("inputs", "targets", "class_targets"):
        value = getattr(data, name)
        if value is not None and value.is_floating_point():
            setattr(data, name, value.to(dtype))


def check_accumulation(member: Member) -> None:
    """Raise a `UserError` if gradients would be accumulated differently than by a trainer."""
    parts = member.trainer.accumulate_grad_batches
    if parts == 1:
        return
    if member.data.steps_per_epoch % parts:
        raise UserError(
            f"trainer.accumulate_grad_batches is {parts}, but an epoch's {member.data.steps_per_epoch} batches cannot "
            "be divided by it: set data.steps_per_epoch to a multiple of it"
        )
    if member.takes_all and trains_at_random(member):
        raise UserError(
            f"a diagram cannot accumulate {parts} times the full training set with dropout: remove "
            "trainer.accumulate_grad_batches, or train with grok fit or grok sweep"
        )


def initial_parameters(member: Member) -> dict[str, Tensor]:
    """The member's initial trainable parameters, by name."""
    return {name: value.detach().clone() for name, value in member.module.named_parameters() if value.requires_grad}


def fixed_tensors(module: GrokkingModule) -> dict[str, Tensor]:
    """Buffers and parameters that are not trained, by name, without class targets, which belong to the data."""
    frozen = {name: value for name, value in module.named_parameters() if not value.requires_grad}
    buffers = {name: value for name, value in module.named_buffers() if name != "class_targets"}
    return frozen | buffers


def part_of_parameter(member: Member) -> dict[str, str]:
    """The optimizer part of each parameter, by name: its group, or that group's vectors."""
    embeddings = {id(parameter) for parameter in member.module.parameter_groups()["embeddings"]}
    parts = {}
    for name, parameter in member.module.named_parameters():
        group = "embeddings" if id(parameter) in embeddings else "decoder"
        vectors = f"{group}_vectors"
        parts[name] = vectors if parameter.dim() != 2 and vectors in member.updates else group
    return parts


def trains_at_random(member: Member) -> bool:
    """Whether training mode differs from evaluation mode, as with dropout."""
    module = copy.deepcopy(member.module)
    inputs = member.data.inputs[:256]
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        return not torch.equal(module.train()(inputs), module.eval()(inputs))
