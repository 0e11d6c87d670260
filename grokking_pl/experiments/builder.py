"""The builder of module and data from a run's settings and seed, used by every command."""

import copy
import json
from dataclasses import dataclass
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningArgumentParser

import grokking_pl.data
import grokking_pl.models  # noqa: F401 (registers classes for short names and help)
from grokking_pl.errors import UserError, find_user_error
from grokking_pl.experiments.messages import one_line, wrong_value
from grokking_pl.experiments.settings import Settings, flatten
from grokking_pl.training.interventions import Intervention

SECTIONS = ("model", "data", "callbacks")


@dataclass(frozen=True)
class Experiment:
    """The module and data of a run.

    Args:
        module: the module.
        data: the datamodule.
        seed: seed of the run, which determines initial weights, split, batches and noise.
    """

    module: Any
    data: Any
    seed: int

    def __post_init__(self) -> None:
        for part in (self.module, self.data):
            if part is not None:
                part.run_seed = self.seed

    def build(self, dtype: torch.dtype = torch.float32) -> None:
        """Load the data and build the network, as a Trainer of that precision does before its first step."""
        self.data.prepare_data()
        self.data.setup("fit")
        default = torch.get_default_dtype()
        torch.set_default_dtype(dtype)  # so that double-precision initial weights are drawn in double
        try:
            self.module.build(self.data.sizes, self.data.class_targets)
        finally:
            torch.set_default_dtype(default)
        self.module.to(dtype)


class ExperimentBuilder:
    """Build experiments from the sections ``model`` and ``data`` of a `grok fit` configuration.

    An optional section ``callbacks`` holds the callbacks that intervene in training, by name.

    Args:
        data_required: whether the section ``data`` is required; a module may bring its own data.
    """

    def __init__(self, data_required: bool = True) -> None:
        self._parser = LightningArgumentParser(allow_abbrev=False, exit_on_error=False)
        self._parser.add_lightning_class_args(LightningModule, "model", subclass_mode=True, required=True)
        self._parser.add_lightning_class_args(LightningDataModule, "data", subclass_mode=True, required=data_required)
        self._parser.add_argument("--callbacks", type=dict[str, Intervention], default={})

    def complete(self, settings: Settings) -> Settings:
        """Check the settings and fill in defaults.

        Raises:
            UserError: an option does not exist or has a value of the wrong type.
        """
        config = self._parse({name: settings[name] for name in SECTIONS if name in settings})
        complete: Settings = json.loads(self._parser.dump(config, skip_none=False, format="json"))
        if not complete["callbacks"]:
            del complete["callbacks"]
        return complete

    def instantiate(self, settings: Settings, seed: int) -> Experiment:
        """Create the module and the datamodule, without network and samples yet.

        Raises:
            UserError: a setting is wrong.
        """
        try:
            parts = self._parser.instantiate_classes(self._parse(settings))
        except Exception as error:
            user_error = find_user_error(error)
            if user_error is None:
                raise
            raise user_error from None
        return Experiment(parts.model, parts.data, seed)

    def _parse(self, settings: Settings) -> Namespace:
        try:
            config: Namespace = self._parser.parse_object(copy.deepcopy(settings))
        except Exception as error:
            raise find_user_error(error) or UserError(_with_whole_name(one_line(str(error)), settings)) from None
        return config


def _with_whole_name(message: str, settings: Settings) -> str:
    """A message about a setting's value, with the setting's whole name instead of its last parts."""
    if wrong := wrong_value(message):
        name, value = wrong
        for whole, given in flatten(settings).items():
            if whole.endswith(f".{name}") and str(given) == value:
                return whole + message.removeprefix(name)
    return message
