"""Training one network: the LightningModule and its optimizer."""

from grokking_pl.training.module import GrokkingModule
from grokking_pl.training.optimizer import GroupOptions, two_group_adam

__all__ = ["GrokkingModule", "GroupOptions", "two_group_adam"]
