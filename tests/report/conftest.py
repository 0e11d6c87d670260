import os
import shutil

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from grokking_pl.commands.main import main
from tests.conftest import ROOT

HOW = (
    "the reports are tested in Chromium, which is not here: apt-get install chromium chromium-driver, or put another "
    "system's chromium and chromedriver on the PATH"
)


@pytest.fixture(scope="package")
def run_folder(tmp_path_factory):
    """A run with two-dimensional embeddings, watched by all that a report can show but EffectiveTheory."""
    folder = tmp_path_factory.mktemp("report") / "run"
    main(
        [
            "fit", "--config", str(ROOT / "configs/toy_2d_addition.yaml"), "--run_dir", str(folder),
            "--trainer.max_steps=120", "--trainer.log_every_n_steps=10", "--trainer.enable_progress_bar=false",
            "--model.architecture.width=16",
        ]
    )  # fmt: skip
    return folder


@pytest.fixture(scope="package")
def diagram_folder(tmp_path_factory):
    """A diagram of three times two cells and three seeds."""
    folder = tmp_path_factory.mktemp("report") / "diagram"
    main(
        [
            "diagram", "--config", str(ROOT / "configs/diagrams/figure6b_small.yaml"), "--folder", str(folder),
            "--steps=150", "--compile=false", "--set={model.architecture.width: 24}", "--device=cpu", "--workers=1",
            "--axes={model.decoder.weight_decay: [0, 3], model.decoder.lr: [0.0001, 0.001, 0.01]}",
            "--seeds=[58, 59, 60]", "--phase.train_threshold=0.1", "--phase.val_threshold=0.2", "--phase.delay=20",
        ]
    )  # fmt: skip
    return folder


@pytest.fixture(scope="package")
def chromium():
    """A browser without a window; for where it is missing, the failure says how to get it."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.fail(HOW)
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium asks for it from root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    yield browser
    browser.quit()
