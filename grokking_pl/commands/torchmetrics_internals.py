"""The one file that touches private parts of torchmetrics: what it imports when it is imported."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from lightning_utilities.core.imports import RequirementCache

LEFT_OUT = ("torchvision", "matplotlib")


@contextmanager
def without_image_metrics() -> Iterator[None]:
    """Let torchmetrics, if it is imported in the block, believe that what its metrics of images need is not there.

    Buys 0.8 of the 5.5 seconds of processor time that ``grok fit --help`` takes, which needs no metric at all.
    """
    is_available = RequirementCache.__bool__

    def is_available_and_wanted(requirement: RequirementCache) -> bool:
        return requirement.requirement not in LEFT_OUT and is_available(requirement)

    with patch.object(RequirementCache, "__bool__", is_available_and_wanted):
        yield
