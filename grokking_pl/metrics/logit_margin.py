"""Logit margins, and the fraction of samples with zero loss."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokking_pl.errors import UserError


def logit_margins(
    outputs: Float[Tensor, "samples classes"], classes: Int[Tensor, " samples"]
) -> Float[Tensor, " samples"]:
    """The correct logit minus the largest other logit of each sample; positive if the sample is correct.

    Args:
        outputs: logits.
        classes: the correct class of each sample.

    Raises:
        UserError: there is only one class.

    >>> logit_margins(torch.tensor([[3.0, 1.0, 0.0], [3.0, 1.0, 0.0]]), torch.tensor([0, 2]))
    tensor([ 2., -3.])
    """
    if outputs.shape[1] < 2:
        raise UserError("a margin needs at least two classes")
    right = outputs.gather(1, classes[:, None]).squeeze(1)
    others = outputs.scatter(1, classes[:, None], -torch.inf)
    return right - others.amax(1)


def zero_loss_share(losses: Float[Tensor, " samples"]) -> Float[Tensor, ""]:
    """The fraction of samples whose loss is exactly 0 in the precision in which it is computed.

    The softmax of such a sample has rounded to 1 (softmax collapse, Prieto et al., 2025, arXiv 2501.04697, section 3):
    its gradient is 0, even if the network could still learn from it.

    Args:
        losses: loss of each sample.

    >>> zero_loss_share(torch.tensor([0.0, 1e-9, 0.0, 2.0]))
    tensor(0.5000)
    """
    return (losses == 0).to(torch.promote_types(losses.dtype, torch.float32)).mean()
