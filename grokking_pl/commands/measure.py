"""``grok measure``: measure a run's network at the steps with kept weights, without training."""

from pathlib import Path
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser

from grokking_pl.callbacks import Measurement
from grokking_pl.commands.old_run import OldRun
from grokking_pl.commands.parser import GrokParser
from grokking_pl.commands.quiet import quieten
from grokking_pl.commands.replayed_trainer import ReplayedTrainer, Rows
from grokking_pl.commands.standard_callbacks import as_list
from grokking_pl.errors import UserError
from grokking_pl.runs import RunFolder
from grokking_pl.runs.csv_metrics import read_rows
from grokking_pl.runs.files import write_table, writing

KINDS = list[Measurement] | Measurement | None
"""As for a trainer's callbacks, but restricted to measurements."""


def run(words: list[str]) -> None:
    """Run the command."""
    quieten()
    parser = build_parser(words[0])
    config = parser.parse_args(words[1:])
    measures = as_list(parser.instantiate_classes(config).measures)
    if not measures:
        raise UserError("nothing to measure: give --measures=NAME, such as FourierProgress or WeightNorms")
    folder = RunFolder(Path(config.run))
    if not folder.path.is_dir():
        raise UserError(f"the folder {folder.path} does not exist: give the folder of a run")
    measured = ReplayedTrainer(OldRun(folder), measures).replay()
    columns = write_measures(folder, measured)
    print(f"{len(measured)} steps in {folder.measures}: {', '.join(columns)}")


def build_parser(name: str) -> LightningArgumentParser:
    """The command's options."""
    parser = GrokParser(
        prog=f"grok {name}",
        usage=f"grok {name} RUN --measures=NAME [--measures.option value] [--measures+=NAME ...]",
        description=(
            "Measure a run's kept checkpoints and weights, and write the curves to measures.csv in its "
            "folder. RunCheckpoint and StitchedAccuracy keep them during training; for measures that read only the "
            "embeddings, those kept by EmbeddingSnapshots are enough."
        ),
    )
    parser.add_argument("run", type=str, metavar="RUN", help="The folder of the run.")
    parser.add_argument(
        "--measures", type=KINDS, default=None, help="Callbacks derived from Measurement, as in trainer.callbacks."
    )
    return parser


def write_measures(folder: RunFolder, measured: Rows) -> list[str]:
    """Merge the values into ``measures.csv``, and return their names.

    Raises:
        UserError: the file is damaged or not writable.
    """
    rows: dict[int, dict[str, Any]] = {int(row["step"]): row for row in read_rows(folder.measures)}
    for step, values in measured.items():
        rows.setdefault(step, {"step": step}).update(values)
    columns = list(dict.fromkeys(name for step in sorted(rows) for name in rows[step]))
    with writing(folder.measures, "make room, then measure again"):
        write_table(folder.measures, columns, [rows[step] for step in sorted(rows)])
    return list(dict.fromkeys(name for values in measured.values() for name in values))
