"""The processes of a job, on one node or several, as Lightning Fabric launches or finds them (torchrun, SLURM).

Members never talk to each other, so the processes share nothing but the diagram's folder: each trains a share of the
runs that are left and writes what it finished at once. They wait for each other at the beginning and at the end.
"""

import os
from datetime import timedelta

from lightning.fabric import Fabric
from lightning.fabric.strategies import DDPStrategy

from grokking_pl.errors import UserError
from grokking_pl.training.lightning_internals import launched_processes


class Ranks:
    """Launch the other processes of the job, or join those that a launcher has started.

    Args:
        accelerator: ``cpu``, or ``cuda`` for one GPU per process.
        devices: processes per node; None for what torchrun or SLURM say, else 1.
        num_nodes: number of nodes; None likewise.

    Raises:
        UserError: there are fewer GPUs, or the launcher started another number of processes.
    """

    def __init__(self, accelerator: str, devices: int | None, num_nodes: int | None) -> None:
        launched_devices, launched_nodes = _launched()
        devices, num_nodes = devices or launched_devices, num_nodes or launched_nodes
        self._parent = os.getppid()
        self._fabric: Fabric | None = None
        if devices * num_nodes == 1:
            return
        # The processes exchange no gradients, but wait for each other as long as the longest takes.
        strategy = DDPStrategy(process_group_backend="gloo", timeout=timedelta(days=365))
        try:
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
        """Wait until every process is here.

        Raises:
            UserError: one of them has died.
        """
        if self._fabric is None:
            return
        try:
            self._fabric.barrier()
        except RuntimeError:
            raise UserError(
                "a process of the job died; what was finished is kept: run the same command again to resume"
            ) from None

    def check(self) -> None:
        """Stop if the process that launched this one was killed: nobody would wait for it, or merge its results."""
        if self.rank and os.getppid() != self._parent:
            raise KeyboardInterrupt

    def stop(self) -> None:
        """End the processes that this one launched; they save their members."""
        launched = launched_processes(self._fabric.strategy) if self._fabric else []
        for process in launched:
            process.terminate()
        for process in launched:
            process.wait()


def _launched() -> tuple[int, int]:
    """How many processes per node, on how many nodes, a launcher has started."""
    environment = os.environ
    if "LOCAL_WORLD_SIZE" in environment and "WORLD_SIZE" in environment:  # torchrun
        local = int(environment["LOCAL_WORLD_SIZE"])
        return local, int(environment["WORLD_SIZE"]) // local
    if "SLURM_NTASKS_PER_NODE" in environment and "SLURM_PROCID" in environment:
        return int(environment["SLURM_NTASKS_PER_NODE"]), int(environment.get("SLURM_NNODES", "1"))
    return 1, 1
