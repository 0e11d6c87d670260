"""Which frequencies the embeddings are made of, while a network learns modular addition."""

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from grokking_pl.callbacks.reporting import Reporting, log, made_update, require_representation, run_folder
from grokking_pl.errors import UserError
from grokking_pl.metrics import fourier_power


class FourierSpectrum(pl.Callback, Reporting):
    """Logs how many key frequencies the embeddings have, and the share of their power that lies there.

    A frequency is a key one if it holds more than ``factor`` times the power it would if all held the same. At the end
    ``spectrum.png`` shows the power at every frequency, initial and final.

    Args:
        every_n_steps: steps between evaluations.
        factor: how many times the equal share makes a key frequency.

    Raises:
        UserError: a parameter is out of range, or the network has no embeddings.
    """

    def __init__(self, every_n_steps: int = 100, factor: float = 3.0) -> None:
        super().__init__()
        if every_n_steps < 1 or not factor > 1:
            raise UserError(
                f"FourierSpectrum: every_n_steps is {every_n_steps} and factor {factor}; give at least 1, and above 1"
            )
        self.every_n_steps = every_n_steps
        self.factor = factor
        self._spectra: dict[int, Tensor] = {}  # step: the shares of the frequencies

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the initial embeddings."""
        require_representation(pl_module, "FourierSpectrum")
        if trainer.global_step == 0:
            self._measure(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure the embeddings if it is time to."""
        step = trainer.global_step
        if made_update(trainer) and (step % self.every_n_steps == 0 or step == trainer.max_steps):
            self._measure(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the first and the last spectrum."""
        if self._spectra and trainer.is_global_zero:
            from grokking_pl.plots.spectrum import spectrum  # matplotlib takes a second to import

            folder = run_folder(trainer).path
            spectra = {step: power.numpy() for step, power in sorted(self._spectra.items())}
            spectrum(spectra, self.factor).savefig(folder / "spectrum.png", dpi=150)

    def state_dict(self) -> dict[str, Any]:
        """The first and the last spectrum."""
        return {"spectra": dict(self._spectra)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint's spectra."""
        self._spectra = dict(state_dict["spectra"])

    def status(self) -> dict[str, str]:
        """The number of key frequencies."""
        return {"keys": str(len(self._keys()))} if self._spectra else {}

    def summary(self) -> dict[str, Any]:
        """The final key frequencies, and the share of the power that they hold."""
        return {"key_frequencies": self._keys(), "key_power": self._share()} if self._spectra else {}

    def _last(self) -> Tensor:
        return self._spectra[max(self._spectra)]

    def _is_key(self) -> Tensor:
        return self._last() > self.factor / len(self._last())

    def _keys(self) -> list[int]:
        return (self._is_key().nonzero().squeeze(1) + 1).tolist()

    def _share(self) -> float:
        return float(self._last()[self._is_key()].sum())

    def _measure(self, trainer: pl.Trainer, pl_module: Any) -> None:
        step = trainer.global_step
        first = min(self._spectra, default=step)
        self._spectra = {first: self._spectra[first]} if self._spectra else {}
        self._spectra[step] = torch.atleast_1d(fourier_power(pl_module.representation.embeddings).cpu())
        log(trainer, step, {"num_key_frequencies": len(self._keys()), "key_power": self._share()})
