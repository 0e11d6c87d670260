"""Weights & Biases, online where there is a key and a network, offline everywhere else."""

import os
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lightning.pytorch.loggers import WandbLogger

DEFAULT_BASE_URL = "https://api.wandb.ai"


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
        super().__init__(offline=reason is not None, **self._arguments, **self._options)  # type: ignore[arg-type]

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


def why_offline() -> str | None:
    """Why W&B cannot be reached: no key, no network, or the user's WANDB_MODE. None where it can."""
    if os.environ.get("WANDB_MODE") in ("offline", "disabled"):
        return f"WANDB_MODE={os.environ['WANDB_MODE']}"
    import wandb  # takes a second to import

    url = wandb.Settings().base_url or DEFAULT_BASE_URL
    if not (os.environ.get("WANDB_API_KEY") or wandb.api.api_key):
        return "no API key"
    parts = urlsplit(str(url))
    try:
        socket.create_connection(
            (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)), 3
        ).close()
    except OSError:
        return f"no connection to {parts.hostname}"
    return None
