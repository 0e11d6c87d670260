"""``grok completion``: a script for shell completion of commands, options and file names.

The script is generated from the parsers of all commands, so that completion is fast.
"""

import argparse
import importlib

import shtab

from grokking_pl.commands.bundled import bundled
from grokking_pl.commands.catalogue import COMMANDS
from grokking_pl.commands.failure import DEBUG, fail
from grokking_pl.commands.parser_internals import options

FILES = ("--config", "-c", "--ckpt_path", "--base", "--folder", "--run_dir", "--output")
"""Options whose values are files or folders."""


def run(words: list[str]) -> None:
    """Print the script for a shell; an unknown shell ends with one line and status 2."""
    arguments = words[1:]
    if arguments in (["--help"], ["-h"]):
        print(
            "usage: grok completion SHELL\n\n"
            f"Print the completion script for a shell: {', '.join(shtab.SUPPORTED_SHELLS)}.\n"
            "For bash:  grok completion bash > ~/.local/share/bash-completion/completions/grok\n\n"
            f"{DEBUG}"
        )
        return
    if len(arguments) != 1 or arguments[0] not in shtab.SUPPORTED_SHELLS:
        fail(f"give a shell: grok completion {' or '.join(shtab.SUPPORTED_SHELLS)}")
    print(shtab.complete(_all_commands(), arguments[0]))


def _all_commands() -> argparse.ArgumentParser:
    """A plain parser with all commands and their options."""
    root = argparse.ArgumentParser(prog="grok")
    root.add_argument("--version", action="store_true", help="the version of grokking_pl")
    commands = root.add_subparsers()
    for name, listed in COMMANDS.items():
        command = commands.add_parser(name, help=listed.about)
        command.add_argument("--debug", action="store_true")
        if name == "completion":
            command.add_argument("shell", choices=shtab.SUPPORTED_SHELLS)
            continue
        if name == "configs":
            command.add_argument("action", nargs="?", choices=("show", "copy"))
            command.add_argument("name", nargs="?", choices=[config.name for config in bundled()])
            continue
        if name in ("sweep", "report", "compare", "measure"):
            command.add_argument("file").complete = shtab.FILE  # type: ignore[attr-defined]
        parser = importlib.import_module(COMMANDS[name].module).build_parser(name)
        for option in options(parser):
            if "--help" in option.spellings:
                continue
            spellings = [spelling for spelling in option.spellings if not spelling.endswith("+")]
            added = command.add_argument(*spellings, action="store_true" if option.is_flag else "store")
            if set(spellings) & set(FILES):
                added.complete = shtab.FILE  # type: ignore[attr-defined]
    return root
