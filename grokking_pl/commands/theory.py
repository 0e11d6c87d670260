"""``grok theory``: tables and figures of the effective theory from one configuration file."""

from pathlib import Path

from lightning.pytorch.cli import LightningArgumentParser
from rich.console import Console
from rich.table import Table

from grokking_pl.commands.catalogue import COMMANDS
from grokking_pl.commands.parser import GrokParser
from grokking_pl.commands.quiet import quieten
from grokking_pl.commands.tables import print_table
from grokking_pl.runs.error_log import kept_traceback
from grokking_pl.runs.files import FolderLock, is_taken, save_figure, write_atomically, writing
from grokking_pl.spacing import evenly_spaced
from grokking_pl.theory.study import TheoryResults, TheoryStudy

RUNS = Path("runs/theory")
ROWS_SHOWN = 14


def run(words: list[str]) -> None:
    """Run the command."""
    quieten()
    parser = build_parser(words[0])
    config = parser.parse_args(words[1:])
    files = [Path(str(file)) for file in config.config or []]
    folder = config.folder = Path(config.folder or RUNS / (files[0].stem if files else "study"))
    settings = parser.instantiate_classes(config)
    study = TheoryStudy(**{name: settings[name] for name in TheoryStudy.__dataclass_fields__})
    record = folder / "config.yaml"
    with FolderLock(folder, "--folder"):
        if record.exists():
            raise is_taken(folder, "a study", "--folder")
        status = Console(stderr=True).status("computing, a minute for a thousand symbols")
        with kept_traceback(folder), status:
            run_study(study, folder)
        # Written last, so that a stopped study leaves a reusable folder.
        parser.save(config, record, skip_none=False, overwrite=True, multifile=False)
    print(f"tables and figures in {folder}")


def build_parser(name: str) -> LightningArgumentParser:
    """The command's options."""
    parser = GrokParser(
        prog=f"grok {name}",
        usage=f"grok {name} --config FILE [--key value ...]",
        description=COMMANDS[name].about,
    )
    parser.add_argument("--config", action="config", help="Configuration file of the study.")
    parser.add_argument("--folder", type=Path | None, help="Folder; by default runs/theory/ plus the config's name.")
    parser.add_class_arguments(TheoryStudy, as_group=False)
    return parser


def run_study(study: TheoryStudy, folder: str | Path, console: Console | None = None) -> TheoryResults:
    """Run a study, print its tables, and write tables (CSV) and figures (PNG and SVG) to a folder.

    Args:
        study: study to run.
        folder: output folder; created if missing.
        console: console to print to; None for the terminal.

    Raises:
        UserError: the folder is not writable, the task does not commute, or a number is out of range.
    """
    from grokking_pl.plots import theory as plots  # imported here because matplotlib is slow to import

    folder = Path(folder)
    with writing(folder, "choose another folder"):
        folder.mkdir(parents=True, exist_ok=True)
    results = study.run()
    critical = results.critical
    tables = {"unique_structure": results.unique, "grokking_rate": results.rates}
    figures = {
        "unique_structure": plots.unique_structure(
            results.unique, critical.r_c, (critical.low, critical.high), results.task
        ),
        "grokking_rate": plots.grokking_rate(results.rates, critical.r_c, results.task),
        "predicted_steps": plots.predicted_steps(results.rates, critical.r_c, results.task, study.learning_rate),
    }
    if len(results.by_p):
        tables["critical_fraction_by_p"] = results.by_p
        figures["critical_fraction_by_p"] = plots.critical_fraction_by_p(results.by_p)
    with writing(folder, "make room, or choose another folder"):
        for name, frame in tables.items():
            write_atomically(folder / f"{name}.csv", frame.to_csv(index=False))
        for name, figure in figures.items():
            for suffix in ("png", "svg"):
                save_figure(figure, folder / f"{name}.{suffix}")
    print_results(results, console or Console())
    return results


def print_results(results: TheoryResults, console: Console) -> None:
    """Print at most 14 sizes, in 80 columns, and at the end the critical fraction."""
    whole, critical = results.whole, results.critical
    console.print(f"[bold]{results.task}[/bold]: effective theory")
    merged = results.rates.merge(results.unique[["train_count", "probability", "low", "high"]], on="train_count")
    shown = merged.iloc[evenly_spaced(len(merged), ROWS_SHOWN)]
    table = Table(
        "n",
        "fraction",
        "unique",
        "95 %",
        "rate",
        "5 to 95 %",
        "steps",
        title="random training sets of n samples",
        caption="unique: probability that they determine the structure; rate, steps: medians",
    )
    for row in shown.itertuples():
        table.add_row(
            f"{row.train_count}",
            f"{row.train_fraction:.3f}",
            f"{row.probability:.4f}",
            f"{row.low:.3f} to {row.high:.3f}",
            f"{row.rate_q50:.4f}",
            f"{row.rate_q05:.3f} to {row.rate_q95:.3f}",
            "never" if row.rate_q50 == 0 else f"{row.steps_q50:.0f}",
        )
    print_table(table, console)
    if len(results.by_p):
        falling = Table("p", "samples", "trials", "r_c", "95 %", "r_c p / ln p", title="addition of p symbols")
        for row in results.by_p.itertuples():
            falling.add_row(
                f"{row.p}",
                f"{row.samples}",
                f"{row.trials}",
                f"{row.r_c:.4f}",
                f"{row.low:.4f} to {row.high:.4f}",
                f"{row.r_c_p_over_log_p:.3f}",
            )
        print_table(falling, console)
    console.print(
        f"whole table: n0 = {whole.n0}, grokking rate {whole.lambda_3:.4f}\n"
        f"critical training fraction r_c = {critical.r_c:.4f} (95 %: {critical.low:.4f} to {critical.high:.4f})"
    )
    if not whole.faithful:
        console.print(
            "[yellow]The linear structure does not separate this task's results: r_c is where the equations "
            "determine everything, not where a network generalises.[/yellow]"
        )
