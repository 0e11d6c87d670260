"""Importing without garbage collection."""

import gc

import pytest

from grokking_pl.importing import without_collecting


@pytest.mark.parametrize("collects", [True, False])
@pytest.mark.parametrize("error", [None, ImportError])
def test_collection_is_as_before_afterwards(collects, error):
    before = gc.isenabled()
    try:
        gc.enable() if collects else gc.disable()
        try:
            with without_collecting():
                assert not gc.isenabled()
                if error:
                    raise error
        except ImportError:
            assert error
        assert gc.isenabled() == collects
    finally:
        gc.enable() if before else gc.disable()
