"""In IPython, as in a notebook, figures are displayed without pyplot."""

import subprocess
import sys

from tests.conftest import ROOT

DISPLAY = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
figure = shell.run_cell('''
import numpy as np
import grokking_pl as gp
gp.plots.embedding_panels([0, 9], np.random.rand(2, 4, 2), "abcd")
''').result
data, _ = shell.display_formatter.format(figure)
assert data["image/png"].startswith(b"\\x89PNG")
"""


def test_figures_are_images():
    done = subprocess.run([sys.executable, "-c", DISPLAY], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
