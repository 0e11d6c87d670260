"""Datamodules that hold all samples as tensors on the device."""

from grokking_pl.data.algorithmic import AlgorithmicDataModule
from grokking_pl.data.datamodule import TensorDataModule
from grokking_pl.data.equations import EquationDataModule
from grokking_pl.data.mnist import MNISTDataModule
from grokking_pl.data.sparse_parity import OnlineSparseParity, SparseParity
from grokking_pl.data.teacher_student import TeacherStudent

__all__ = [
    "AlgorithmicDataModule",
    "EquationDataModule",
    "MNISTDataModule",
    "OnlineSparseParity",
    "SparseParity",
    "TeacherStudent",
    "TensorDataModule",
]
