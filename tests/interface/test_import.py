"""``import grokking_pl as gp``: what it gives, and that it loads nothing before it is asked to."""

import ast
import importlib
import re
import subprocess
import sys

import pytest

import grokking_pl as gp
from tests.conftest import ROOT


def test_imports_nothing_heavy():
    program = (
        "import sys, grokking_pl as gp; dir(gp); "
        "heavy = {'torch', 'lightning', 'numpy', 'pandas', 'matplotlib'} & {*sys.modules}; assert not heavy, heavy\n"
        "gp.tasks.addition(3); assert 'lightning' not in sys.modules and 'matplotlib' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_is_listed_is_there():
    assert gp.__all__ == sorted(gp.__all__)
    assert {*gp.__all__} <= {*dir(gp)}
    for name in gp.__all__:
        assert getattr(gp, name) is not None
        assert getattr(gp, name) is getattr(gp, name)
    assert {*gp.__all__} == {*gp._PACKAGES, *gp._HOMES}


def test_editors_see_the_same():
    tree = ast.parse((ROOT / "grokking_pl/__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    seen = {}
    for node in block.body:
        for name in node.names:
            seen[name.name] = node.module
    assert {*seen} == {*gp.__all__}
    for name, home in seen.items():
        assert getattr(importlib.import_module(home), name) is getattr(gp, name)


def test_what_is_not_there():
    with pytest.raises(AttributeError, match=r"^module 'grokking_pl' has no attribute 'rqui'$"):
        _ = gp.rqui


def test_reference_lists_all_of_it():
    page = (ROOT / "docs/pages/reference/interface.md").read_text()
    assert {*re.findall(r"^\| `gp\.(\w+)", page, re.MULTILINE)} == {*gp.__all__}


def test_plots_are_importable():
    from grokking_pl import plots

    for name in plots.__all__:
        assert callable(getattr(plots, name)), name
