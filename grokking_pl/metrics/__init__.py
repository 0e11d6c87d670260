"""What is measured of representations and runs: pure functions, and torchmetrics classes over them."""

from grokking_pl.metrics.criterion import Criterion, published_criterion
from grokking_pl.metrics.effective_dimension import (
    EffectiveDimension,
    effective_dimension,
    explained_variance,
    pca_entropy,
)
from grokking_pl.metrics.fourier import fourier_power, key_frequencies
from grokking_pl.metrics.ideal_accuracy import ideal_accuracy
from grokking_pl.metrics.parallelograms import count_parallelograms, gram_matrix
from grokking_pl.metrics.phases import Phase, classify, classify_batch
from grokking_pl.metrics.predicted_accuracy import PredictedAccuracy, predicted_accuracy
from grokking_pl.metrics.representation import Representation, add, matrix_product
from grokking_pl.metrics.representation_metric import RepresentationMetric
from grokking_pl.metrics.rqi import RepresentationQualityIndex, rqi
from grokking_pl.metrics.truncation import truncated_embeddings

__all__ = [
    "Criterion",
    "EffectiveDimension",
    "Phase",
    "PredictedAccuracy",
    "Representation",
    "RepresentationMetric",
    "RepresentationQualityIndex",
    "add",
    "classify",
    "classify_batch",
    "count_parallelograms",
    "effective_dimension",
    "explained_variance",
    "fourier_power",
    "gram_matrix",
    "ideal_accuracy",
    "key_frequencies",
    "matrix_product",
    "pca_entropy",
    "predicted_accuracy",
    "published_criterion",
    "rqi",
    "truncated_embeddings",
]
