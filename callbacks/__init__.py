"""What watches a run. Each is a Lightning callback; those that also report mix in ``Reporting``."""

from grokking_pl.callbacks.effective_dimension import EffectiveDimension
from grokking_pl.callbacks.embedding_norm import EmbeddingNorm
from grokking_pl.callbacks.embedding_snapshots import EmbeddingSnapshots
from grokking_pl.callbacks.loss_monitor import LossMonitor
from grokking_pl.callbacks.phase_tracker import PhaseTracker
from grokking_pl.callbacks.progress import RunProgress
from grokking_pl.callbacks.reporting import Reporting
from grokking_pl.callbacks.representation_quality import RepresentationQuality
from grokking_pl.callbacks.run_checkpoint import RunCheckpoint
from grokking_pl.callbacks.run_recorder import RunRecorder

__all__ = [
    "EffectiveDimension",
    "EmbeddingNorm",
    "EmbeddingSnapshots",
    "LossMonitor",
    "PhaseTracker",
    "Reporting",
    "RepresentationQuality",
    "RunCheckpoint",
    "RunProgress",
    "RunRecorder",
]
