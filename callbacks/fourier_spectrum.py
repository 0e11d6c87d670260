"""The frequencies of the embeddings while a network learns modular addition."""

from typing import Any

import lightning.pytorch as pl

from grokking_pl.callbacks.measurement import Measurement
from grokking_pl.callbacks.reporting import draw, require_representation
from grokking_pl.errors import require_above
from grokking_pl.metrics import fourier_power
from grokking_pl.metrics.fourier import above_uniform


class FourierSpectrum(Measurement):
    """Logs the number of key frequencies of the embeddings, and their fraction of the power.

    A key frequency holds more than ``factor`` times its share in a uniform spectrum. At the end ``spectrum.png`` shows
    the initial and final power at every frequency.

    Args:
        every_n_steps: steps between measurements.
        factor: multiple of the uniform share that defines key frequencies.

    Raises:
        UserError: a parameter is out of range, or the network has no embeddings.
    """

    needs_only_embeddings = True

    def __init__(self, every_n_steps: int = 100, factor: float = 3.0) -> None:
        super().__init__(every_n_steps)
        require_above("FourierSpectrum", "factor", factor, 1)
        self.factor = factor
        self.state["spectra"] = {}  # fractions by step, at the first and last measurement

    def require(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that there are embeddings."""
        require_representation(pl_module, "FourierSpectrum")

    def measure(self, trainer: pl.Trainer, pl_module: Any) -> dict[str, float]:
        """The number of key frequencies and their fraction of the power."""
        power = fourier_power(pl_module.representation.embeddings).cpu()
        spectra = self.state["spectra"]
        self.state["spectra"] = {step: spectra[step] for step in list(spectra)[:1]} | {trainer.global_step: power}
        is_key = above_uniform(power, self.factor)
        return {"num_key_frequencies": int(is_key.sum()), "key_power": float(power[is_key].sum())}

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the first and last spectrum."""
        if self.values:
            draw(trainer, "spectrum.png", self._draw)

    def status(self) -> dict[str, str]:
        """The number of key frequencies."""
        return {"keys": str(self.values["num_key_frequencies"])} if self.values else {}

    def summary(self) -> dict[str, Any]:
        """The final key frequencies, and their fraction of the power."""
        if not self.values:
            return {}
        *_, power = self.state["spectra"].values()
        frequencies = above_uniform(power, self.factor).nonzero().squeeze(1) + 1
        return {"key_frequencies": frequencies.tolist(), "key_power": self.values["key_power"]}

    def _draw(self) -> Any:
        from grokking_pl.plots.spectrum import spectrum  # matplotlib is slow to import

        return spectrum({step: power.numpy() for step, power in self.state["spectra"].items()}, self.factor)
