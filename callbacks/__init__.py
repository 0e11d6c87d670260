"""Lightning callbacks that observe a run or intervene in its training.

Callbacks that also report derive from ``Reporting``, as ``Measurement`` does. Interventions derive from
``Intervention``.
"""

from grokking_pl.callbacks.class_separation import ClassSeparation
from grokking_pl.callbacks.corrupted_accuracy import CorruptedAccuracy
from grokking_pl.callbacks.decision_map import DecisionMap
from grokking_pl.callbacks.decoder_quality import DecoderQuality
from grokking_pl.callbacks.effective_dimension import EffectiveDimension
from grokking_pl.callbacks.effective_theory import EffectiveTheory
from grokking_pl.callbacks.embedding_circle import EmbeddingCircle
from grokking_pl.callbacks.embedding_norm import EmbeddingNorm
from grokking_pl.callbacks.embedding_snapshots import EmbeddingSnapshots
from grokking_pl.callbacks.fourier_progress import FourierProgress
from grokking_pl.callbacks.fourier_spectrum import FourierSpectrum
from grokking_pl.callbacks.gradient_direction import GradientDirection
from grokking_pl.callbacks.initial_distance import InitialDistance
from grokking_pl.callbacks.irrep_progress import IrrepProgress
from grokking_pl.callbacks.irrep_spectrum import IrrepSpectrum
from grokking_pl.callbacks.kernel_change import KernelChange
from grokking_pl.callbacks.local_complexity import LocalComplexity
from grokking_pl.callbacks.logit_margin import LogitMargin
from grokking_pl.callbacks.loss_monitor import LossMonitor
from grokking_pl.callbacks.lottery_ticket import LotteryTicket
from grokking_pl.callbacks.measurement import Measurement
from grokking_pl.callbacks.phase_tracker import PhaseTracker
from grokking_pl.callbacks.progress import RunProgress
from grokking_pl.callbacks.reporting import Reporting
from grokking_pl.callbacks.representation_quality import RepresentationQuality
from grokking_pl.callbacks.run_checkpoint import RunCheckpoint
from grokking_pl.callbacks.run_recorder import RunRecorder
from grokking_pl.callbacks.sharpness import Sharpness
from grokking_pl.callbacks.stitched_accuracy import StitchedAccuracy
from grokking_pl.callbacks.truncated_accuracy import TruncatedAccuracy
from grokking_pl.callbacks.weight_norms import WeightNorms
from grokking_pl.training.interventions import (
    DecayToInitial,
    FrozenGroup,
    GradientFilter,
    GradientNoise,
    GradientWindow,
    HeldNorm,
    Intervention,
    OrthogonalGradient,
)

__all__ = [
    "ClassSeparation",
    "CorruptedAccuracy",
    "DecayToInitial",
    "DecisionMap",
    "DecoderQuality",
    "EffectiveDimension",
    "EffectiveTheory",
    "EmbeddingCircle",
    "EmbeddingNorm",
    "EmbeddingSnapshots",
    "FourierProgress",
    "FourierSpectrum",
    "FrozenGroup",
    "GradientDirection",
    "GradientFilter",
    "GradientNoise",
    "GradientWindow",
    "HeldNorm",
    "InitialDistance",
    "Intervention",
    "IrrepProgress",
    "IrrepSpectrum",
    "KernelChange",
    "LocalComplexity",
    "LogitMargin",
    "LossMonitor",
    "LotteryTicket",
    "Measurement",
    "OrthogonalGradient",
    "PhaseTracker",
    "Reporting",
    "RepresentationQuality",
    "RunCheckpoint",
    "RunProgress",
    "RunRecorder",
    "Sharpness",
    "StitchedAccuracy",
    "TruncatedAccuracy",
    "WeightNorms",
]
