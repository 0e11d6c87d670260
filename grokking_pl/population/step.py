"""One training step of all members at once.

Each function here is a whole step: the loss of one member as a function of its parameters, its gradient for all members
by ``vmap`` and ``grad``, and the update. Both change the state in place, and both can be compiled.
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.func import grad, vmap

from grokking_pl.population.clipping import clip_gradients
from grokking_pl.population.evaluation import count_correct
from grokking_pl.population.minibatches import MiniBatch
from grokking_pl.population.network import MemberNetwork, Parameters
from grokking_pl.population.samples import Samples, SampleStack
from grokking_pl.population.state import Stack, State
from grokking_pl.training.objective import sample_losses


def evaluate_and_update(
    network: MemberNetwork, state: State, samples: SampleStack, coefficients: Float[Tensor, "places parts coefficients"]
) -> None:
    """A full-batch step, whose forward pass over the training samples serves both their loss and their accuracy.

    The evaluation is therefore that before the update. The other samples have a forward pass of their own, so that no
    gradient is computed for them. Members with samples of their own, whose numbers may differ, have one pass over all,
    and those for validation have weight 0 in the loss.
    """
    training = samples.training

    def loss_of_one(parameters: Parameters, own: Samples) -> tuple[Tensor, Tensor]:
        outputs = network.outputs(parameters, own.inputs[:training])
        loss = weighted_loss(network, parameters, outputs, own.targets[:training], own.weights[:training])
        if training < len(own.inputs):
            outputs = torch.cat([outputs, network.outputs(parameters, own.inputs[training:])])
        return loss, count_correct(outputs.detach(), own)

    gradients_of_all = vmap(grad(loss_of_one, has_aux=True), in_dims=(0, samples.dims))
    gradients, correct = gradients_of_all(state.parameters, samples.samples)
    state.tracking.take_in(correct, torch.ones_like(state.tracking.step, dtype=torch.bool))
    update_parameters(state, gradients, coefficients)


def update(
    network: MemberNetwork,
    state: State,
    samples: SampleStack,
    minibatch: MiniBatch,
    coefficients: Float[Tensor, "places parts coefficients"],
) -> None:
    """A step on each member's own mini-batch."""

    def loss_of_one(parameters: Parameters, own: Samples, minibatch: MiniBatch) -> Tensor:
        outputs = network.outputs(parameters, own.inputs[minibatch.chosen])
        return weighted_loss(network, parameters, outputs, own.targets[minibatch.chosen], minibatch.weights)

    # Dropout draws different numbers for each member.
    gradients_of_all = vmap(grad(loss_of_one), in_dims=(0, samples.dims, 0), randomness="different")
    gradients = gradients_of_all(state.parameters, samples.samples, minibatch)
    update_parameters(state, gradients, coefficients)


def weighted_loss(
    network: MemberNetwork,
    parameters: Parameters,
    outputs: Float[Tensor, "batch *answers outputs"],
    targets: Shaped[Tensor, "batch ..."],
    weights: Float[Tensor, " batch"],
) -> Float[Tensor, ""]:
    """The training loss of one member: the weighted sum of its samples' losses, plus the network's penalty."""
    loss = (sample_losses(network.module.loss, outputs, targets) * weights).sum()
    return loss + network.penalty(parameters) if network.has_penalty else loss


def update_parameters(state: State, gradients: Stack, coefficients: Float[Tensor, "places parts coefficients"]) -> None:
    """Update all parameters by their part's rule, with interventions before and after, and count the step."""
    step = state.tracking.step + 1
    gradients = state.interventions.change_gradients(gradients, state.parameters, step)
    if state.clipping:
        gradients = clip_gradients(gradients, state.clipping, state.most)
    for name, parameter in state.parameters.items():
        part = state.part[name]
        of_part = coefficients[:, part]
        state.rules[part].step(parameter, gradients[name], state.first[name], state.second.get(name), of_part)
    state.interventions.change_weights(state.parameters, step)
    state.tracking.step.add_(1)
