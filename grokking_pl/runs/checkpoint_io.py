"""Checkpoints written atomically and without pickled code."""

import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

from grokking_pl.errors import UserError
from grokking_pl.runs.files import atomic_file, is_whole_archive, writing
from grokking_pl.runs.resumable import OUTLINE, outline


class SafeCheckpointIO(TorchCheckpointIO):
    """Writes files atomically, and reads only tensors and plain values."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write a checkpoint atomically.

        Raises:
            UserError: the disk is full or the folder is not writable; the previous checkpoint is kept.
        """
        target = Path(path)
        with writing(target, "make room, or choose another folder with --run_dir"):
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(target) as file:
                torch.save({**checkpoint, OUTLINE: outline(checkpoint)}, file)

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint.

        Raises:
            UserError: the file does not exist or is not a Lightning checkpoint.
        """
        try:
            checkpoint = torch.load(path, map_location=map_location, weights_only=weights_only is not False)
        except FileNotFoundError:
            raise UserError(f"the checkpoint {path} does not exist") from None
        except IsADirectoryError:
            raise UserError(f"{path} is a folder, not a checkpoint: give the file in it") from None
        except MemoryError:
            raise
        except Exception as error:  # unpicklers raise anything on other files
            raise UserError(f"{path} is not a checkpoint, or is corrupt ({type(error).__name__})") from None
        # Files of old torch versions are not archives and have no checksums.
        if zipfile.is_zipfile(path) and not is_whole_archive(Path(path)):
            raise UserError(f"{path} is corrupt (wrong checksum)")
        if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
            raise UserError(f"{path} is not a checkpoint of a run: it has no state_dict")
        return checkpoint
