"""The browser that reports are tested in: found on this machine, or its tests left out in one line.

Under CI (the variable ``CI`` is set) nothing is left out: where there is no browser, the run fails, in one line.
"""

import os
import shutil
from dataclasses import dataclass

import pytest

FIXTURE = "chromium"
BROWSERS = (
    "chromium",
    "google-chrome",
    "google-chrome-stable",
    "chromium-browser",
    "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
)
HOW_TO_GET = (
    "put chromium or google-chrome, and its chromedriver, on the PATH (Debian: apt-get install chromium "
    "chromium-driver; macOS: brew install --cask chromium chromedriver)"
)


@dataclass(frozen=True)
class Browser:
    """The programs to start."""

    binary: str
    driver: str


def find_browser() -> Browser | None:
    """A Chromium or Chrome and its driver, or None if one of the two is missing."""
    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    return Browser(binary, driver) if binary and driver else None


@pytest.fixture(scope="session")
def chromium():
    """A browser without a window."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    programs = find_browser()
    if programs is None:
        pytest.fail(f"CI is set, and there is no browser to test the reports in: {HOW_TO_GET}", pytrace=False)
    options = webdriver.ChromeOptions()
    options.binary_location = programs.binary
    for argument in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium asks for it from root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(programs.driver))
    yield browser
    browser.quit()


LEFT_OUT = pytest.StashKey[int]()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that need a browser where there is none; under CI keep one of them, which fails."""
    needing = [item for item in items if FIXTURE in getattr(item, "fixturenames", ())]
    if find_browser() or not needing:
        return
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        needing.remove(min(needing, key=lambda item: item.nodeid))
    else:
        config.stash[LEFT_OUT] = len(needing)
    config.hook.pytest_deselected(items=needing)
    items[:] = [item for item in items if item not in needing]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error) -> None:
    """Take over from a worker of pytest-xdist how many tests it left out; all of them collect the same."""
    if left_out := getattr(node, "workeroutput", {}).get("left_out"):
        node.config.stash[LEFT_OUT] = left_out


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that started this worker, if this is one, how many tests were left out."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(LEFT_OUT, 0)


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    """Say in one line what was left out, and how to get it."""
    if left_out := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(f"{left_out} tests of the reports in a browser were left out: {HOW_TO_GET}")
