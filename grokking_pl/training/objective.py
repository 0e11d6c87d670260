"""The objective: loss, prediction and correctness of every sample of a batch.

Pure functions of outputs and targets, shared by the module and by batches of runs. Targets are vectors, class numbers,
or the class numbers of an answer's tokens.
"""

from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from grokking_pl.training.losses import Loss


def sample_losses(
    loss: Loss, outputs: Float[Tensor, "batch *answers outputs"], targets: Shaped[Tensor, "batch ..."]
) -> Float[Tensor, " batch"]:
    """The loss of each sample, averaged over the tokens of an answer.

    Raises:
        UserError: the loss does not return one number per sample.
    """
    if outputs.ndim == 2:
        return loss.of_samples(outputs, targets)
    tokens = loss.of_samples(outputs.flatten(0, -2), targets.flatten(0, outputs.ndim - 2))
    return tokens.view(len(targets), -1).mean(1)


def batch_loss(
    loss: Loss, outputs: Float[Tensor, "batch *answers outputs"], targets: Shaped[Tensor, "batch ..."]
) -> Float[Tensor, ""]:
    """The mean of the samples' losses, by a fused kernel if the loss has one.

    Raises:
        UserError: the loss does not return one number per sample.
    """
    if outputs.ndim == 2:
        return loss.mean(outputs, targets)
    return loss.mean(outputs.flatten(0, -2), targets.flatten(0, outputs.ndim - 2))


def predicted_class(
    outputs: Float[Tensor, "batch *answers outputs"], class_targets: Float[Tensor, "classes outputs"] | None
) -> Int[Tensor, " batch *answers"]:
    """The class with the largest output, or for regression with the nearest target vector."""
    if class_targets is None:
        return outputs.argmax(-1)
    # |f - t|^2 = |f|^2 + |t|^2 - 2 f.t, and |f|^2 is the same for every class.
    half_norms = class_targets.square().sum(-1) / 2
    return (half_norms - outputs.to(class_targets.dtype) @ class_targets.T).argmin(-1)


def true_class(
    targets: Shaped[Tensor, "batch ..."], class_targets: Float[Tensor, "classes outputs"] | None
) -> Int[Tensor, " batch *answers"]:
    """The class of each target."""
    return targets if class_targets is None else predicted_class(targets, class_targets)


def is_correct(
    predicted: Int[Tensor, " batch *answers"], true: Int[Tensor, " batch *answers"]
) -> Bool[Tensor, " batch"]:
    """Whether each sample is predicted correctly, with all tokens of its answer."""
    equal = predicted == true
    return equal if equal.ndim == 1 else equal.flatten(1).all(1)
