"""``grok configs``: list, show or copy the bundled configurations."""

import argparse
import re
from pathlib import Path

from grokking_pl.commands.bundled import FOLDER, KINDS, Bundled, bundled, find
from grokking_pl.commands.failure import DEBUG
from grokking_pl.commands.plain_parser import PlainParser
from grokking_pl.errors import UserError

EXAMPLES = f"""examples:
  grok configs
  grok configs show mnist_grok
  grok configs copy figures/figure6a_small my_diagram.yaml

{DEBUG}
"""


def run(words: list[str]) -> None:
    """Run the command."""
    options = build_parser(words[0]).parse_args(words[1:])
    if options.action is None:
        print(listing(bundled()), end="")
        return
    if options.name is None:
        raise UserError(f"give a name: grok configs {options.action} NAME; 'grok configs' lists them")
    config = find(options.name)
    if options.action == "copy":
        path = copy(config, options.to)
        print(f"{config.name} in {path}: edit it, then {_command(config, path)}")
    elif options.to is not None:
        raise UserError(f"show takes one name, but {options.to} is given too: use 'grok configs copy' to write a file")
    else:
        print(config.path.read_text(encoding="utf-8"), end="")


def build_parser(name: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = PlainParser(
        hint="give 'grok configs', 'grok configs show NAME' or 'grok configs copy NAME [FILE]'",
        prog=f"grok {name}",
        usage=f"grok {name} [show NAME | copy NAME [FILE]]",
        description="List the bundled configurations by kind, show one, or copy one to "
        "edit. Commands accept these names wherever they take a configuration.",
        epilog=EXAMPLES,
    )
    parser.add_argument("action", nargs="?", choices=("show", "copy"), help="print a configuration, or copy it")
    parser.add_argument("name", nargs="?", metavar="NAME", help="name as listed; the last part is enough")
    parser.add_argument("to", nargs="?", type=Path, metavar="FILE", help="file to write; by default NAME.yaml")
    return parser


def listing(configs: list[Bundled]) -> str:
    """The names of configurations by kind, each with its first line."""
    width = max(len(config.name) for config in configs)
    text = ""
    for kind, purpose in KINDS.items():
        lines = [f"  {config.name:<{width}}  {config.about}" for config in configs if config.kind == kind]
        text += "\n".join([purpose, *lines, "", ""])
    return text + f"in {FOLDER}\n"


def copy(config: Bundled, to: Path | None = None) -> Path:
    """Copy a configuration; a diagram's relative base is replaced by its bundled name.

    Args:
        config: configuration to copy.
        to: file or folder; None for a file of its name in the working directory.

    Raises:
        UserError: the file exists, or is not writable.
    """
    from grokking_pl.runs.files import write_atomically, writing  # imports PyTorch, which takes seconds

    path = Path(config.path.name) if to is None else to / config.path.name if to.is_dir() else to
    if path.exists():
        raise UserError(f"{path} exists: give another file, as in grok configs copy {config.name} my_{path.name}")
    text = config.path.read_text(encoding="utf-8")
    text = re.sub(r"^base: (?:\.\./)+([\w/]+)\.yaml", r"base: \1", text, flags=re.MULTILINE)
    with writing(path, "choose another file"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    return path


def _command(config: Bundled, path: Path) -> str:
    if config.kind == "part":
        return f"give --config {path} after another one"
    return f"grok sweep {path}" if config.kind == "sweep" else f"grok {config.kind} --config {path}"
