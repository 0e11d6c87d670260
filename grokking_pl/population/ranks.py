"""The processes of a job on one or several nodes, launched or found by Lightning Fabric (torchrun, SLURM).

Members never communicate, so processes share only the diagram's folder: each trains a share of the unfinished runs and
writes results immediately. They wait for each other at the start and at the end.
"""

import os
import subprocess
import sys
import time
from datetime import timedelta

from lightning.fabric import Fabric
from lightning.fabric.strategies import DDPStrategy

from grokking_pl.errors import UserError
from grokking_pl.training.lightning_internals import call_on_lost_process, launched_processes
from grokking_pl.training.lost_process import first_process_has_gone, is_launched, watch_first_process

GRACE_SECONDS = 30
"""Time for a process to save its members and end after another one has died."""


class ProcessDied(UserError):
    """Another process of the job died."""

    def __init__(self) -> None:
        super().__init__("a process of the job died; finished runs are kept: run the same command again to resume")


class Ranks:
    """Launches the other processes of the job, or joins those started by a launcher.

    Args:
        accelerator: ``cpu``, or ``cuda`` for one GPU per process.
        devices: processes per node; None for torchrun's or SLURM's number, else 1.
        num_nodes: number of nodes; None likewise.

    Raises:
        UserError: there are fewer GPUs, or the launcher started a different number of processes.
    """

    def __init__(self, accelerator: str, devices: int | None, num_nodes: int | None) -> None:
        launched_devices, launched_nodes = _launched()
        devices, num_nodes = devices or launched_devices, num_nodes or launched_nodes
        self._has_lost_process = False
        self._fabric: Fabric | None = None
        if devices * num_nodes == 1:
            return
        # No gradients are exchanged, but processes may wait for each other for a long time.
        strategy = DDPStrategy(process_group_backend="gloo", timeout=timedelta(days=365))
        try:
            # A waiting process ends when one that it launched dies, or the one that launched it.
            call_on_lost_process(self._on_lost_process)
            watch_first_process(_say_after_grace)
            self._fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=num_nodes, strategy=strategy)
            self._fabric.launch()
        except (ValueError, RuntimeError) as error:
            text = str(error).strip().partition("\n")[0]
            raise UserError(f"cannot start {devices} processes on {num_nodes} nodes: {text}") from None

    @property
    def rank(self) -> int:
        """The number of this process in the job."""
        return self._fabric.global_rank if self._fabric else 0

    @property
    def size(self) -> int:
        """The number of processes in the job."""
        return self._fabric.world_size if self._fabric else 1

    @property
    def local_size(self) -> int:
        """The number of processes on this node."""
        return len(self._fabric.strategy.parallel_devices or [0]) if self._fabric else 1  # type: ignore[attr-defined]

    @property
    def device(self) -> str | None:
        """The device of this process, if the job has several."""
        return str(self._fabric.device) if self._fabric else None

    def wait(self) -> None:
        """Wait for all processes.

        Raises:
            ProcessDied: another process died.
        """
        if self._fabric is None:
            return
        try:
            self._fabric.barrier()
        except RuntimeError:
            raise ProcessDied from None

    def check(self) -> None:
        """Check that no process is missing, since otherwise results would not be merged.

        Raises:
            ProcessDied: a launched process, or the one that launched this one, is missing.
        """
        if self._has_lost_process or (self.rank and first_process_has_gone()):
            raise ProcessDied

    def stop(self, reason: BaseException) -> None:
        """End the processes launched by this one; they save their members.

        Args:
            reason: why this process ends.

        Raises:
            SystemExit: another process ends this one, and says why.
        """
        launched = launched_processes(self._fabric.strategy) if self._fabric else []
        for process in launched:
            process.terminate()
        for process in launched:
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:  # it is paused or hangs
                process.kill()
        if isinstance(reason, KeyboardInterrupt | ProcessDied) and is_launched() and not first_process_has_gone(1):
            sys.exit(1)

    def _on_lost_process(self) -> None:
        self._has_lost_process = True
        _say_after_grace()


def _say_after_grace() -> None:
    """Print why this process ends, unless it ends by itself before it is killed."""
    time.sleep(GRACE_SECONDS)
    print(f"grok: error: {ProcessDied()}", file=sys.stderr, flush=True)


def _launched() -> tuple[int, int]:
    """The numbers of processes per node and of nodes started by a launcher."""
    environment = os.environ
    if "LOCAL_WORLD_SIZE" in environment and "WORLD_SIZE" in environment:  # torchrun
        local = int(environment["LOCAL_WORLD_SIZE"])
        return local, int(environment["WORLD_SIZE"]) // local
    if "SLURM_NTASKS_PER_NODE" in environment and "SLURM_PROCID" in environment:
        return int(environment["SLURM_NTASKS_PER_NODE"]), int(environment.get("SLURM_NNODES", "1"))
    return 1, 1
