"""Training one network: the LightningModule, losses, optimizers and schedules."""

from grokking_pl.training.decision_map import decision_map
from grokking_pl.training.lion import Lion
from grokking_pl.training.local_complexity import local_complexity
from grokking_pl.training.losses import CrossEntropy, Loss, MeanSquaredError, StableMax
from grokking_pl.training.module import GrokkingModule
from grokking_pl.training.noisy_adam import NoisyAdam
from grokking_pl.training.optimizer import GroupOptions, build_optimizer
from grokking_pl.training.output_weights import output_weights
from grokking_pl.training.pair_activations import pair_activations
from grokking_pl.training.power import PowerModule, PowerOptions
from grokking_pl.training.schedule import Schedule
from grokking_pl.training.stitched_accuracy import stitched_accuracy
from grokking_pl.training.truncated_accuracy import truncated_accuracy

__all__ = [
    "CrossEntropy",
    "GrokkingModule",
    "GroupOptions",
    "Lion",
    "Loss",
    "MeanSquaredError",
    "NoisyAdam",
    "PowerModule",
    "PowerOptions",
    "Schedule",
    "StableMax",
    "build_optimizer",
    "decision_map",
    "local_complexity",
    "output_weights",
    "pair_activations",
    "stitched_accuracy",
    "truncated_accuracy",
]
