"""``grok theory``: from one configuration file to the tables and figures of what a task's training sets predict."""

from pathlib import Path

from lightning.pytorch.cli import LightningArgumentParser
from rich.console import Console

from grokking_pl.commands import COMMANDS, fail
from grokking_pl.errors import UserError
from grokking_pl.lightning_cli import GrokParser, find_user_error, quieten
from grokking_pl.theory.study import TheoryStudy, run_study

RUNS = Path("runs/theory")


def run(arguments: list[str]) -> None:
    """Run the command; mistakes end it with one line and status 2, Ctrl-C with 130."""
    quieten()
    try:
        _study(arguments)
    except KeyboardInterrupt:
        fail("stopped; nothing is kept of a study that has not ended", 130)
    except (ValueError, TypeError, RuntimeError, OSError) as error:
        found = find_user_error(error)
        if found is None:
            raise
        fail(str(found))


def _study(arguments: list[str]) -> None:
    parser = build_parser()
    config = parser.parse_args(arguments)
    files = [Path(str(file)) for file in config.config or []]
    folder = config.folder = Path(config.folder or RUNS / (files[0].stem if files else "study"))
    record = folder / "config.yaml"
    if record.exists():
        raise UserError(f"{folder} holds a study: choose another folder with --folder, or delete this one")
    settings = parser.instantiate_classes(config)
    study = TheoryStudy(**{name: settings[name] for name in TheoryStudy.__dataclass_fields__})
    waiting = Console(stderr=True)
    with waiting.status("computing, a minute for a thousand symbols"):
        run_study(study, folder)
    # Written last: a study that was stopped leaves a folder that can be used again.
    parser.save(config, record, skip_none=False, overwrite=True, multifile=False)
    print(f"tables and figures in {folder}")


def build_parser() -> LightningArgumentParser:
    """The command's options."""
    parser = GrokParser(
        prog="grok theory",
        usage="grok theory --config FILE [--key value ...]",
        description=COMMANDS["theory"],
    )
    parser.add_argument("--config", action="config", help="Configuration file of the study.")
    parser.add_argument("--folder", type=Path | None, help="Folder; by default runs/theory/ and the config's name.")
    parser.add_class_arguments(TheoryStudy, as_group=False)
    return parser
