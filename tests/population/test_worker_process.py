"""A worker that is started early trains, or ends with the command."""

import os
import signal
import subprocess
import sys
import time
from multiprocessing import active_children

import pytest

from grokking_pl.population.worker_process import take_worker, worker_started_early
from tests.children import children
from tests.conftest import ROOT

DIAGRAM = ("diagram", "--config", ROOT / "configs/figures/figure6a_small.yaml", "--device=cpu")


def test_it_is_taken_first_and_outlives_the_block():
    with worker_started_early():
        (early,) = active_children()
        (first, pipe), (second, other) = take_worker(), take_worker()
        assert first is early
        assert second is not early
    assert first.is_alive()
    for process, end in ((first, pipe), (second, other)):
        end.close()  # nothing to train
        process.join(60)
        assert process.exitcode == 0


@pytest.mark.parametrize("error", [None, KeyError])
def test_it_ends_with_the_block_if_nothing_has_taken_it(error):
    try:
        with worker_started_early():
            (early,) = active_children()
            if error:
                raise error
    except KeyError:
        assert error
    assert not early.is_alive()
    process, pipe = take_worker()
    assert process is not early
    process.kill()
    process.join()
    pipe.close()


def test_a_refused_diagram_leaves_no_process(grok, tmp_path):
    status, _, err = grok(*DIAGRAM, "--axes={model.decoder.lr: [fast]}", "--folder", tmp_path / "d")
    assert status == 2
    assert "model.decoder.lr is fast" in err
    assert not active_children()


def test_one_that_dies_is_reported(grok, tmp_path, monkeypatch):
    """Also before it has received what to train."""

    def take_dead_worker():
        process, pipe = take_worker()
        process.kill()
        process.join()
        return process, pipe

    monkeypatch.setattr("grokking_pl.population.workers.take_worker", take_dead_worker)
    status, _, err = grok(*DIAGRAM, "--workers=2", "--steps=5", "--folder", tmp_path / "d")
    assert status == 2
    assert "a worker ended with status -9; finished runs are kept" in err


@pytest.mark.parametrize("later", [0.0, 0.03, 0.06])
def test_ctrl_c_while_it_starts_is_one_line(tmp_path, later):
    command = [sys.executable, "-m", "grokking_pl", *map(str, DIAGRAM), f"--folder={tmp_path}/d"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while len(children(process.pid)) < 2:  # multiprocessing's own helper, and the worker
        assert process.poll() is None
        time.sleep(0.002)
    time.sleep(later)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    (line,) = err.splitlines()
    assert "stopped" in line
