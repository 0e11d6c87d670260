"""Where there is no browser its tests are left out in one line, and a run under CI fails in one."""

import pytest

from tests.browser import HOW_TO_GET, Browser, find_browser
from tests.conftest import ROOT

SUITE = """
def test_in_a_browser(chromium): pass
def test_in_a_browser_too(chromium): pass
def test_of_something_else(): pass
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Nothing on the PATH but the programs that this makes."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def make(name: str) -> str:
        (folder / name).touch(0o755)
        return str(folder / name)

    return make


@pytest.fixture
def run_suite(pytester, program, monkeypatch):
    """Run a suite of three tests, two of them in a browser, where there is none."""

    def run(*options: str, ci: str | None = None):
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        for name in ("CI", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
            monkeypatch.delenv(name, raising=False)
        if ci is not None:
            monkeypatch.setenv("CI", ci)
        pytester.makepyfile(test_suite=SUITE)
        return pytester.runpytest_subprocess("-p", "tests.browser", "-p", "no:randomly", *options)

    return run


def lines_about_the_browser(result) -> list[str]:
    return [line for line in result.outlines if HOW_TO_GET in line]


@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_left_out_in_one_line(run_suite, options):
    result = run_suite(*options)
    assert result.ret == 0
    assert result.parseoutcomes()["passed"] == 1
    assert lines_about_the_browser(result) == [f"2 tests of the reports in a browser were left out: {HOW_TO_GET}"]


@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_fails_under_ci(run_suite, options):
    result = run_suite("--tb=no", *options, ci="true")
    assert result.ret == 1
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["errors"]) == (1, 1)
    (line,) = lines_about_the_browser(result)
    assert "CI is set, and there is no browser" in line


def test_says_nothing_where_none_is_needed(run_suite):
    for ci in ("true", "false"):
        result = run_suite("-k", "something_else", ci=ci)
        assert result.ret == 0
        assert lines_about_the_browser(result) == []


@pytest.mark.parametrize("name", ["chromium", "google-chrome", "chromium-browser"])
def test_finds_a_browser_and_its_driver(program, name):
    browser = program(name)
    assert find_browser() is None
    driver = program("chromedriver")
    assert find_browser() == Browser(browser, driver)
