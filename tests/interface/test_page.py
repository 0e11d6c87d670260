"""The page on Python: its blocks run, one after the other, in an empty folder."""

import re

from tests.conftest import ROOT
from tests.process_state import put_back


def test_blocks_run_in_their_order(tmp_path, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs/pages/how_to/python.md").read_text()
    names: dict[str, object] = {"__name__": "page"}
    with put_back(tmp_path_factory.getbasetemp()):
        for block in re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
            exec(compile(block, "page", "exec"), names)
    assert (tmp_path / "runs/python/summary.json").exists()
    assert (tmp_path / "runs/diagrams/python/runs.csv").exists()
