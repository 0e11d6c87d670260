"""The examples in docstrings."""

import doctest
import importlib
import pkgutil

import pytest

import grokking_pl

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(grokking_pl.__path__, "grokking_pl.") if not module.ispkg
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [example for name in MODULES for example in finder.find(importlib.import_module(name)) if example.examples]
    assert len(found) > 20
