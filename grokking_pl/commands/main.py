"""The ``grok`` command. This file imports nothing heavy, so that help and typos are answered quickly."""

import atexit
import difflib
import gc
import importlib
import os
import sys
import warnings
from contextlib import ExitStack
from typing import Any

from grokking_pl import __version__
from grokking_pl.commands.bundled import check_kinds, with_bundled
from grokking_pl.commands.catalogue import COMMANDS
from grokking_pl.commands.failure import ctrl_c_is_heard, errors_as_lines, fail
from grokking_pl.commands.named_files import check_named_files
from grokking_pl.commands.output import whole_output
from grokking_pl.cores import cores
from grokking_pl.importing import without_collecting
from grokking_pl.population.worker_process import worker_started_early

HELP = f"""usage: grok COMMAND [--config FILE] [--key value ...]

The laboratory for grokking: train networks, watch them memorise and then understand.

commands:
{chr(10).join(f"  {name:<11} {command.about}" for name, command in COMMANDS.items())}

options:
  -h, --help            this page, like 'grok help'; 'grok COMMAND --help' for a command's options
  --version             the version of grokking_pl
  --debug               with any command, print tracebacks of errors

Every option of a configuration file can be overridden on the command line, e.g.
  grok fit --config configs/mnist_grok.yaml --model.decoder.weight_decay 0.2 --run_dir runs/decay_0.2
and 'grok fit --config FILE --print_config' prints the whole configuration without running it.
Bundled configurations can be given by name: 'grok fit --config mnist_grok'.
No options are read from environment variables: a run is determined by its command line and files.
"""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line, and exit with status 0, or with 2 and one line on what was wrong."""
    if arguments is None:
        atexit.register(gc.freeze)  # a last collection of garbage would delay the end by up to a second
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    name = words[0] if words and words[0] in COMMANDS else None
    with errors_as_lines(COMMANDS[name].when_stopped if name else "stopped", debug), whole_output():
        run(words)


def run(words: list[str]) -> None:
    """Run a command with its options, or print the requested page."""
    if words[:1] == ["help"]:
        words = [*words[1:2], "--help"]
    if not words or words[0] in ("-h", "--help"):
        print(HELP, end="")
        return
    if words[0] == "--version":
        print(f"grokking_pl {__version__}")
        return
    name = words[0]
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"choose one of {', '.join(COMMANDS)}"
        fail(f"there is no command '{name}': {hint}")
    show_warnings_instead_of_raising()
    # Users' modules, callbacks and data are imported from the working directory, after installed packages.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    words = with_bundled(words)
    check_named_files(words)
    check_kinds(words)
    only_help = bool({"--help", "-h"} & {*words})
    with ExitStack() as until_the_end:
        if COMMANDS[name].has_workers and not only_help and "--workers=1" not in words and cores() > 1:
            until_the_end.enter_context(worker_started_early())
        with ctrl_c_is_heard(), without_collecting(), ExitStack() as while_importing:
            if only_help or COMMANDS[name].has_workers:
                from grokking_pl.commands.torchmetrics_internals import without_image_metrics

                while_importing.enter_context(without_image_metrics())
            command = importlib.import_module(COMMANDS[name].module)
        command.run(words)


def show_warnings_instead_of_raising() -> None:
    """Keep library warnings as warnings, even with ``PYTHONWARNINGS=error``."""
    filters: Any = warnings.filters
    others = [entry for entry in filters if entry[0] != "error"]
    if len(others) < len(filters):
        warnings.resetwarnings()
        filters.extend(others)
        os.environ.pop("PYTHONWARNINGS", None)  # child processes would inherit it
