"""The number of members to train at a time, and of threads."""

import torch

from grokking_pl.population.member import Member
from grokking_pl.population.network import widest_layer
from grokking_pl.training.module import SMALL_STEP

CACHE_BYTES = 8_000_000
"""Size of a batch's weights, gradients and moments that fits a core's share of the caches; measured on toy models."""
LAYER_ELEMENTS = 2**20
"""Widest layer outputs of a batch that fit such a share; measured on convolutions and transformers, for which larger
batches make every member slower."""
PLACES_ON_GPU = 4096
MOST_PLACES_ON_CPU = 64


def places_for(member: Member, device: str) -> int:
    """The number of members per batch: as many as fit the cache of a CPU or the memory of a GPU."""
    weights = sum(value.numel() for value in member.module.parameters())
    if torch.device(device).type == "cpu":
        layer = member.batch_size * widest_layer(member.module, member.data.inputs)
        return max(2, min(MOST_PLACES_ON_CPU, CACHE_BYTES // (16 * weights), LAYER_ELEMENTS // layer))
    widest = max((value.shape[0] for value in member.module.parameters() if value.dim()), default=1)
    bytes_a_member = member.trainer.dtype.itemsize * (8 * weights + 32 * member.batch_size * widest)
    return max(2, min(PLACES_ON_GPU, int(torch.cuda.mem_get_info(device)[0] * 0.5) // bytes_a_member))


def is_small(member: Member) -> bool:
    """Whether several threads would mostly wait for each other."""
    return member.batch_size * sum(value.numel() for value in member.module.parameters()) < SMALL_STEP
