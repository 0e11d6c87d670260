"""Weights & Biases, online where there is a key and a network, offline everywhere else."""

import netrc
import os
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lightning.pytorch.loggers import WandbLogger

PUBLIC_HOST = "api.wandb.ai"
OFFLINE_MODES = ("offline", "dryrun", "disabled")


class WandbRun(WandbLogger):
    """Lightning's W&B logger, which falls to offline mode instead of asking for a key or waiting for a network.

    Args:
        project: W&B project.
        name: name of the run; null takes the name of the run folder.
        entity: W&B user or team; null for the default one.
        group: group of the run.
        tags: tags of the run.
        offline: do not even try to reach the server.
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
        self._options: dict[str, Any] = {"entity": entity, "group": group, "tags": tags}
        self._arguments = {"project": project, "name": name, "log_model": log_model}
        reason = "as asked" if offline else why_offline()
        self._offline_reason = reason
        # Lightning's own way to offline mode is an environment variable, which W&B reads but once.
        if reason:
            import wandb  # takes a second to import

            self._options["settings"] = wandb.Settings(silent=True)
            self._options["mode"] = "disabled" if os.environ.get("WANDB_MODE") == "disabled" else "offline"
        super().__init__(**self._arguments, **self._options)  # type: ignore[arg-type]
        self._wandb_init.pop("anonymous", None)  # W&B warns of it, even unset

    def put_in(self, folder: Path) -> None:
        """Keep the run's files in a folder, after which the run is named if it has no name."""
        self._save_dir = str(folder)
        self._wandb_init["dir"] = str(folder)
        self._name = self._wandb_init["name"] = self._name or folder.name
        if self._offline_reason:
            print(
                f"W&B is offline ({self._offline_reason}); afterwards: wandb sync {folder}/wandb/offline-run-*",
                file=sys.stderr,
            )

    def finalize(self, status: str) -> None:
        """End the run, so that a process that goes on to another run does not log into this one."""
        super().finalize(status)
        if self._experiment is not None:
            self._experiment.finish(exit_code=0 if status == "success" else 1)
            self._experiment = None


def why_offline() -> str | None:
    """Why W&B cannot be reached: no key, no network, or the user's WANDB_MODE. None where it can."""
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
    """Whether the user's netrc file, where `wandb login` puts a key, has one for any of the hosts."""
    files = [os.environ.get("NETRC"), Path.home() / ".netrc", Path.home() / "_netrc"]
    path = next((Path(file) for file in files if file and Path(file).exists()), None)
    try:
        return path is not None and any(netrc.netrc(path).authenticators(host) for host in hosts)
    except (OSError, netrc.NetrcParseError):
        return False
