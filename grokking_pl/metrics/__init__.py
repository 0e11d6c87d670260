"""Metrics of representations and runs: pure functions, and torchmetrics classes over them."""

from grokking_pl.metrics.class_effective_loss import ClassEffectiveLoss, class_effective_loss, class_means
from grokking_pl.metrics.criterion import Criterion, published_criterion
from grokking_pl.metrics.decoder_rqi import decoder_rqi
from grokking_pl.metrics.effective_dimension import (
    EffectiveDimension,
    effective_dimension,
    explained_variance,
    pca_entropy,
)
from grokking_pl.metrics.fourier import fourier_norms, fourier_power, key_frequencies
from grokking_pl.metrics.gradients import cosine, total_norm
from grokking_pl.metrics.group_pair_spectrum import NeuronIrreps, group_pair_spectrum, neuron_irreps
from grokking_pl.metrics.group_restricted_loss import (
    group_excluded_logits,
    group_excluded_loss,
    group_restricted_logits,
    group_restricted_loss,
)
from grokking_pl.metrics.group_spectrum import CharacterTable, character_table, irrep_power
from grokking_pl.metrics.ideal_accuracy import ideal_accuracy
from grokking_pl.metrics.logit_margin import LogitMargin, ZeroLossShare, logit_margins, zero_loss_share
from grokking_pl.metrics.loss_of_all_pairs import ExcludedLoss, GroupExcludedLoss, GroupRestrictedLoss, RestrictedLoss
from grokking_pl.metrics.pair_spectrum import NeuronFrequencies, neuron_frequencies, pair_spectrum
from grokking_pl.metrics.parallelograms import count_parallelograms, gram_matrix
from grokking_pl.metrics.phases import Phase, classify, classify_batch
from grokking_pl.metrics.predicted_accuracy import PredictedAccuracy, predicted_accuracy
from grokking_pl.metrics.representation import Representation, add, matrix_product
from grokking_pl.metrics.representation_metric import RepresentationMetric
from grokking_pl.metrics.restricted_loss import excluded_logits, excluded_loss, restricted_logits, restricted_loss
from grokking_pl.metrics.rqi import RepresentationQualityIndex, rqi
from grokking_pl.metrics.sharpness import largest_eigenvalue, sharpness
from grokking_pl.metrics.sparsity import gini, inverse_participation_ratio
from grokking_pl.metrics.tangent_kernel import kernel_change, tangent_kernel
from grokking_pl.metrics.truncation import truncated_embeddings

__all__ = [
    "CharacterTable",
    "ClassEffectiveLoss",
    "Criterion",
    "EffectiveDimension",
    "ExcludedLoss",
    "GroupExcludedLoss",
    "GroupRestrictedLoss",
    "LogitMargin",
    "NeuronFrequencies",
    "NeuronIrreps",
    "Phase",
    "PredictedAccuracy",
    "Representation",
    "RepresentationMetric",
    "RepresentationQualityIndex",
    "RestrictedLoss",
    "ZeroLossShare",
    "add",
    "character_table",
    "class_effective_loss",
    "class_means",
    "classify",
    "classify_batch",
    "cosine",
    "count_parallelograms",
    "decoder_rqi",
    "effective_dimension",
    "excluded_logits",
    "excluded_loss",
    "explained_variance",
    "fourier_norms",
    "fourier_power",
    "gini",
    "gram_matrix",
    "group_excluded_logits",
    "group_excluded_loss",
    "group_pair_spectrum",
    "group_restricted_logits",
    "group_restricted_loss",
    "ideal_accuracy",
    "inverse_participation_ratio",
    "irrep_power",
    "kernel_change",
    "key_frequencies",
    "largest_eigenvalue",
    "logit_margins",
    "matrix_product",
    "neuron_frequencies",
    "neuron_irreps",
    "pair_spectrum",
    "pca_entropy",
    "predicted_accuracy",
    "published_criterion",
    "restricted_logits",
    "restricted_loss",
    "rqi",
    "sharpness",
    "tangent_kernel",
    "total_norm",
    "truncated_embeddings",
    "zero_loss_share",
]
