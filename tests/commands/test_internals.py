"""What the commands rely on in argparse, torchmetrics and jsonargparse without a promise."""

import subprocess
import sys

from grokking_pl.commands.fit import build_parser
from grokking_pl.commands.parser_internals import Option, options
from tests.conftest import ROOT


def test_argparse_lists_the_options_of_a_parser():
    spelled = {option.spellings: option for option in options(build_parser("validate"))}
    changed = "argparse no longer lists options in _actions: typos get no hint, and shells complete nothing"
    assert ("-c", "--config") in spelled, changed
    assert Option(("--trainer.max_steps",), is_flag=False) in spelled.values(), changed
    assert spelled["-h", "--help"].is_flag
    # What the trainer's method takes belongs to the command, and what it is given as an object does not.
    assert ("--verbose",) in spelled
    assert not {("--datamodule",), ("--dataloaders",)} & spelled.keys()


def test_help_imports_no_metrics_of_images():
    program = (
        "import sys; from lightning_utilities.core.imports import RequirementCache as cache; known = cache.__bool__\n"
        "from grokking_pl.commands.main import main\n"
        "try: main(['fit', '--help'])\n"
        "except SystemExit: print('torchvision' in sys.modules, cache.__bool__ is known)"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "False True", (
        "torchmetrics imports torchvision although RequirementCache says that it is not there: find the new way, or "
        "remove without_image_metrics"
    )
