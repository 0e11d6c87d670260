"""Weights & Biases: online with a key and a network, otherwise offline."""

import netrc
import os
import socket
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from grokking_pl.runs.job import is_first_process
from grokking_pl.runs.naming import WandbSweepRun

PUBLIC_HOST = "api.wandb.ai"
EXIT_CODES = {"finished": 0, "failed": 1, "interrupted": 255}
"""Exit codes for W&B by status; it shows 255 as killed, not failed."""

OFFLINE_MODES = ("offline", "dryrun", "disabled")


class WandbRun(WandbLogger):
    """Lightning's W&B logger, which falls back to offline mode instead of asking for a key or waiting for a network.

    Args:
        project: W&B project.
        name: name of the run; null for the name of the run folder.
        entity: W&B user or team; null for the default one.
        group: group of the run.
        tags: tags of the run.
        offline: do not try to reach the server.
        log_model: upload checkpoints.
    """

    def __init__(
        self,
        project: str = "grokking",
        name: str | None = None,
        entity: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        offline: bool = False,
        log_model: bool = False,
    ) -> None:
        self._sweep_run = WandbSweepRun.of_this_process()
        self._arguments: dict[str, Any] = {"project": project, "log_model": log_model}
        # The run is started here and passed to Lightning: Lightning's own start makes W&B warn, and so does a project
        # in addition to a sweep's.
        self._options: dict[str, Any] = {
            "project": None if self._sweep_run else project,
            "name": name,
            "entity": entity,
            "group": group,
            "tags": tags,
            "dir": ".",
            "resume": "allow",
        }
        self._offline_reason = "as requested" if offline else why_offline()
        if self._offline_reason:
            # Lightning's own offline mode is an environment variable, which W&B reads only once.
            import wandb  # takes a second to import

            self._options["settings"] = wandb.Settings(silent=True)
            self._options["mode"] = "disabled" if os.environ.get("WANDB_MODE") == "disabled" else "offline"
        self._started = False
        self._exit_code: int | None = None
        super().__init__(**self._arguments)

    def put_in(self, folder: Path) -> None:
        """Keep the run's files in a folder, which also names the run if it has no name."""
        self._options["dir"] = str(folder)
        self._options["name"] = (
            self._options["name"] or (self._sweep_run.name if self._sweep_run else None) or folder.name
        )
        super().__init__(**self._arguments, save_dir=folder)
        if self._offline_reason and os.environ.get("WANDB_MODE") != "disabled" and is_first_process():
            print(
                f"W&B is offline ({self._offline_reason}); to upload: wandb sync {folder}/wandb/offline-run-*",
                file=sys.stderr,
            )

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """W&B's run, started at first access."""
        if not self._started:
            import wandb

            run = wandb.init(**self._options)
            run.define_metric("trainer/global_step")
            run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
            super().__init__(**self._arguments, save_dir=self._options["dir"], experiment=run)
            self._started = True
        return super().experiment

    @rank_zero_only
    def log_hyperparams(self, params: Any) -> None:
        """Log the hyperparameters, without those set by a sweep, which are locked."""
        locked = self._sweep_run.parameters if self._sweep_run else {}
        given = params if isinstance(params, Mapping) else vars(params)
        super().log_hyperparams({name: value for name, value in given.items() if name not in locked})

    def conclude(self, summary: dict[str, Any], folder: Path) -> None:
        """Add the outcome of a run to its summary, and its figures and final embeddings to its media.

        Args:
            summary: content of ``summary.json``; null values are left out.
            folder: folder of the run, whose ``.png`` files and ``embeddings.npz`` are uploaded.
        """
        import wandb

        run = self.experiment
        self._exit_code = EXIT_CODES.get(summary["status"])
        media: dict[str, Any] = {path.stem: wandb.Image(str(path)) for path in sorted(folder.glob("*.png"))}
        if (folder / "embeddings.npz").exists():
            with np.load(folder / "embeddings.npz") as snapshots:
                symbols, last = snapshots["symbols"].tolist(), snapshots["embeddings"][-1]
            columns: list[str | int] = ["symbol", *(f"dimension {number}" for number in range(last.shape[1]))]
            rows: list[Iterable[Any]] = [
                [symbol, *values] for symbol, values in zip(symbols, last.tolist(), strict=True)
            ]
            media["final_embeddings"] = wandb.Table(columns=columns, data=rows)
        if media:
            run.log({**media, "trainer/global_step": summary["steps"]})
        run.summary.update({name: value for name, value in summary.items() if value is not None})

    def finalize(self, status: str) -> None:
        """End the run, so that the next run of this process does not log to it."""
        super().finalize(status)
        if self._started:
            fallback = 0 if status == "success" else 1
            self.experiment.finish(exit_code=fallback if self._exit_code is None else self._exit_code)
            self._started = False


def why_offline() -> str | None:
    """Why W&B cannot be reached: no key, no network, or the user's WANDB_MODE. None if it can."""
    if os.environ.get("WANDB_MODE") in OFFLINE_MODES:
        return f"WANDB_MODE={os.environ['WANDB_MODE']}"
    import wandb  # takes a second to import

    settings = wandb.setup().settings
    parts = urlsplit(os.environ.get("WANDB_BASE_URL") or settings.base_url)
    host = parts.hostname or ""
    keys = (os.environ.get("WANDB_API_KEY"), os.environ.get("WANDB_IDENTITY_TOKEN_FILE"), settings.api_key)
    if not any(keys) and not in_netrc(host, PUBLIC_HOST):
        return "no API key"
    try:
        socket.create_connection((host, parts.port or (443 if parts.scheme == "https" else 80)), 3).close()
    except OSError:
        return f"no connection to {host}"
    return None


def in_netrc(*hosts: str) -> bool:
    """Whether the user's netrc file, where `wandb login` stores keys, has one for any of the hosts."""
    files = [os.environ.get("NETRC"), Path.home() / ".netrc", Path.home() / "_netrc"]
    path = next((Path(file) for file in files if file and Path(file).exists()), None)
    try:
        return path is not None and any(netrc.netrc(path).authenticators(host) for host in hosts)
    except (OSError, netrc.NetrcParseError):
        return False
