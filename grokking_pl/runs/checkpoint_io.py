"""Checkpoints that are whole or absent, whenever the process is killed, and that hold no pickled code."""

import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

from grokking_pl.errors import UserError
from grokking_pl.runs.files import atomic_file, is_whole_archive, writing
from grokking_pl.runs.resumable import OUTLINE, outline


class SafeCheckpointIO(TorchCheckpointIO):
    """Writes whole files or none, and reads tensors and plain values only."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write a checkpoint atomically.

        Raises:
            UserError: the disk is full or the folder cannot be written; the previous checkpoint is left as it was.
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
            UserError: there is no such file, or it is no checkpoint of Lightning.
        """
        try:
            checkpoint = torch.load(path, map_location=map_location, weights_only=weights_only is not False)
        except FileNotFoundError:
            raise UserError(f"the checkpoint {path} does not exist") from None
        except IsADirectoryError:
            raise UserError(f"{path} is a folder, and no checkpoint: name the file in it") from None
        except MemoryError:
            raise
        except Exception as error:  # whatever a file that is no checkpoint makes an unpickler do
            raise UserError(f"{path} is no checkpoint, or is corrupt ({type(error).__name__})") from None
        # A file of an old torch is no archive, and has no checksums.
        if zipfile.is_zipfile(path) and not is_whole_archive(Path(path)):
            raise UserError(f"{path} is corrupt: a checksum is wrong")
        if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
            raise UserError(f"{path} is no checkpoint of a run: it holds no state_dict")
        return checkpoint
