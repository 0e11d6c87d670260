"""Runs on disk: folders, checkpoints and loggers."""

from grokking_pl.runs.checkpoint_io import SafeCheckpointIO
from grokking_pl.runs.csv_metrics import CSVMetrics
from grokking_pl.runs.folder import RunFolder
from grokking_pl.runs.wandb_run import WandbRun
from grokking_pl.runs.weights_file import read_weights, write_weights

__all__ = ["CSVMetrics", "RunFolder", "SafeCheckpointIO", "WandbRun", "read_weights", "write_weights"]
