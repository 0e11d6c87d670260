"""The commands of ``grok``: description, module, and message when stopped."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command.

    Args:
        module: module whose functions ``run(words)`` and ``build_parser(name)`` take the command's name first.
        about: description for the help page.
        when_stopped: message on Ctrl-C.
        has_workers: whether it trains in processes that it starts.
    """

    module: str
    about: str
    when_stopped: str
    has_workers: bool = False


RESUMES = "stopped; run the same command again to resume"
TRAINER = ("grokking_pl.commands.fit", "stopped at once; a run that has a checkpoint is resumed with --ckpt_path last")

COMMANDS = {
    "fit": Command(TRAINER[0], "train a network: grok fit --config configs/mnist_grok.yaml", TRAINER[1]),
    "validate": Command(TRAINER[0], "measure a checkpoint on the validation set", "stopped"),
    "test": Command(TRAINER[0], "measure a checkpoint on the test set", "stopped"),
    "predict": Command(TRAINER[0], "write a checkpoint's predictions to predictions.csv", "stopped"),
    "sweep": Command(
        "grokking_pl.commands.sweep",
        "train the runs of a W&B sweep without a server: grok sweep configs/sweeps/toy_grid.yaml",
        RESUMES,
    ),
    "diagram": Command(
        "grokking_pl.commands.diagram",
        "train a grid of runs: grok diagram --config configs/figures/figure6a_small.yaml",
        RESUMES,
        has_workers=True,
    ),
    "theory": Command(
        "grokking_pl.commands.theory",
        "predict from training sets alone: grok theory --config configs/theory_addition.yaml",
        "stopped; nothing is kept of an unfinished study",
    ),
    "report": Command(
        "grokking_pl.commands.report",
        "write an interactive HTML report of a run or diagram: grok report runs/toy_addition",
        "stopped; no report was written",
    ),
    "compare": Command(
        "grokking_pl.commands.compare",
        "compare several runs in one table and one figure: grok compare runs/decay_0 runs/decay_3",
        "stopped; nothing was written",
    ),
    "measure": Command(
        "grokking_pl.commands.measure",
        "measure a run's kept checkpoints: grok measure runs/kept --measures=WeightNorms",
        "stopped; nothing was written",
    ),
    "configs": Command(
        "grokking_pl.commands.configs",
        "list the bundled configurations; 'show NAME' prints one, 'copy NAME' writes one to edit",
        "stopped",
    ),
    "completion": Command(
        "grokking_pl.commands.completion",
        "print a shell completion script: grok completion bash",
        "stopped",
    ),
}
