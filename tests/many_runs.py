"""A program for `torchrun`: several commands of `grok`, one after the other, in one group of processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import lightning.pytorch as pl
import torch

from grokking_pl.commands.main import main

ROOT = Path(__file__).parent.parent


def torchrun(processes: int, commands: list[list[object]], timeout: float = 900) -> tuple[str, str]:
    """Run commands on so many processes; return what they printed on standard output and standard error."""
    words = json.dumps([[str(word) for word in command] for command in commands])
    ended = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
            str(Path(__file__)), words,
        ],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-6000:]
    return ended.stdout, ended.stderr


class Gradients(pl.Callback):
    """Keeps the gradients of every step, averaged over the processes, in ``gradients.pt`` of the run's folder."""

    def __init__(self) -> None:
        self._steps: list[torch.Tensor] = []

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        self._steps.append(torch.cat([parameter.grad.flatten() for parameter in pl_module.parameters()]).clone())

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            torch.save(torch.stack(self._steps), Path(trainer.default_root_dir) / "gradients.pt")


if __name__ == "__main__":
    for arguments in json.loads(sys.argv[1]):
        main(arguments)
