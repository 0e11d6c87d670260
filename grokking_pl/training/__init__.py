"""Training one network: the LightningModule and its optimizer."""

from grokking_pl.training.module import GrokkingModule
from grokking_pl.training.noisy_adam import NoisyAdam
from grokking_pl.training.optimizer import GroupOptions, two_group_adam
from grokking_pl.training.power import PowerModule, PowerOptions

__all__ = ["GrokkingModule", "GroupOptions", "NoisyAdam", "PowerModule", "PowerOptions", "two_group_adam"]
