"""The effective theory: predictions from the training set alone (section 3.2 of the paper)."""

from grokking_pl.theory.critical_fraction import (
    CriticalFraction,
    critical_fraction,
    critical_fraction_by_p,
    critical_fraction_of,
)
from grokking_pl.theory.flow import conserved_quantities, linear_flow, normalised, normalised_flow
from grokking_pl.theory.hessian import effective_loss, hessian
from grokking_pl.theory.nullity import ground_state_basis, is_faithful, is_unique, nullity
from grokking_pl.theory.prediction import Prediction, predict
from grokking_pl.theory.rates import rate_quantiles, sample_rates
from grokking_pl.theory.spectrum import grokking_rate, grokking_steps, grokking_time, spectrum
from grokking_pl.theory.study import TheoryResults, TheoryStudy
from grokking_pl.theory.training_sets import random_orders, random_training_sets, size_of_fraction
from grokking_pl.theory.trajectories import Trajectories, theory_beside_network
from grokking_pl.theory.unique_structure import (
    UniqueStructure,
    critical_sizes,
    probability_of_unique_structure,
    wilson_interval,
)

__all__ = [
    "CriticalFraction",
    "Prediction",
    "TheoryResults",
    "TheoryStudy",
    "Trajectories",
    "UniqueStructure",
    "conserved_quantities",
    "critical_fraction",
    "critical_fraction_by_p",
    "critical_fraction_of",
    "critical_sizes",
    "effective_loss",
    "grokking_rate",
    "grokking_steps",
    "grokking_time",
    "ground_state_basis",
    "hessian",
    "is_faithful",
    "is_unique",
    "linear_flow",
    "normalised",
    "normalised_flow",
    "nullity",
    "predict",
    "probability_of_unique_structure",
    "random_orders",
    "random_training_sets",
    "rate_quantiles",
    "sample_rates",
    "size_of_fraction",
    "spectrum",
    "theory_beside_network",
    "wilson_interval",
]
