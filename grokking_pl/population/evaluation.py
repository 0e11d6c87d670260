"""Numbers of correct training and validation samples of every member."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.func import vmap

from grokking_pl.population.network import MemberNetwork, Parameters
from grokking_pl.population.samples import Samples, SampleStack
from grokking_pl.population.state import State
from grokking_pl.training.objective import is_correct, predicted_class

EVALUATION_ELEMENTS = 2**21
"""Widest layer outputs, over samples and members, above which an evaluation is split into parts.

Measured on convolutional networks, which take longer per member once such outputs exceed the caches.
"""


def evaluate(network: MemberNetwork, state: State, samples: SampleStack) -> Int[Tensor, "places 2"]:
    """The numbers of correct samples of every member, in evaluation mode."""

    def count_of_one(parameters: Parameters, part: Samples) -> Int[Tensor, " 2"]:
        return count_correct(network.outputs(parameters, part.inputs), part)

    count_of_all = vmap(count_of_one, in_dims=(0, samples.dims))
    network.module.eval()
    correct = torch.zeros_like(state.tracking.final)
    for part in samples.parts(max(128, EVALUATION_ELEMENTS // (network.widest * len(state.tracking.step)))):
        correct += count_of_all(state.parameters, part)
    network.module.train()
    return correct


def count_correct(outputs: Float[Tensor, "samples *answers outputs"], samples: Samples) -> Int[Tensor, " 2"]:
    """The numbers of training and validation samples that one member predicts correctly."""
    correct = is_correct(predicted_class(outputs, samples.class_targets), samples.labels)
    is_train = samples.weights > 0
    return torch.stack([(correct & is_train).sum(), (correct & ~is_train).sum()])
