"""A diagram of four short runs, two at a time, whose reports and checkpoints come after every ten steps."""

from tests.conftest import ROOT

SMALL_DIAGRAM = [
    "diagram", "--config", str(ROOT / "configs/figures/figure6b_small.yaml"), "--steps=30", "--compile=false",
    "--set={model.architecture.width: 8}", "--device=cpu", "--workers=1", "--places=2", "--checkpoint_seconds=0",
    "--observe.every_n_steps=10", "--phase.train_threshold=0.3", "--phase.val_threshold=0.1",
    "--axes={model.decoder.weight_decay: [0, 3], model.decoder.lr: [0.0001, 0.01]}",
]  # fmt: skip
