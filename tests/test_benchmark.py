"""The comparison of `scripts/benchmark.py diagram --against` with plain PyTorch, and what it refuses."""

import runpy
import sys
from functools import partial

import pytest
import torch

from tests.conftest import ROOT

sys.path.append(str(ROOT / "scripts"))
import benchmark_rivals
from benchmark_commands import imports_of
from benchmark_rivals import Batches, Problem, check_equal, compare, toys, with_torch

STEPS = 6


@pytest.fixture
def benchmark(monkeypatch, capsys):
    """Runs the script; returns its exit status or message, and what it printed."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["benchmark.py", *words])
        try:
            runpy.run_path(str(ROOT / "scripts/benchmark.py"), run_name="__main__")
            code = 0
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run


def test_plain_pytorch_does_the_same_work():
    """With members that fill one batch and part of another."""
    members = toys(12)
    assert len({str(member.optimization) for member in members}) == 12
    _, ours = Batches(STEPS, compiled=False).train(members)
    problem = Problem(members)
    theirs = problem.results(*with_torch(problem, STEPS)())
    torch.testing.assert_close(theirs.losses, ours.losses, rtol=1e-5, atol=0)
    assert torch.equal(theirs.correct, ours.correct)
    assert len(ours.losses.unique()) == 12
    check_equal(ours, theirs, "torch", STEPS)


def test_other_work_is_not_compared():
    members = toys(3)
    _, ours = Batches(STEPS, compiled=False).train(members)
    problem = Problem(members)
    problem.rates *= 1.1
    theirs = problem.results(*with_torch(problem, STEPS)())
    with pytest.raises(SystemExit, match="torch does not do the same work: after 6 steps of 3 members, losses differ"):
        check_equal(ours, theirs, "torch", STEPS)
    with pytest.raises(SystemExit, match="numbers of correct samples by up to 2"):
        check_equal(ours, ours._replace(correct=ours.correct + 2), "torch", STEPS)
    with pytest.raises(SystemExit, match="up to nan"):
        check_equal(ours, ours._replace(losses=ours.losses * torch.nan), "torch", STEPS)


def test_both_are_in_one_table(benchmark, monkeypatch):
    """In processes, with fewer members than processes and with more."""
    monkeypatch.setattr(benchmark_rivals, "cores", lambda: 2)
    few = partial(compare, members=(1, 3), steps=STEPS, member_steps=2 * STEPS, compiled=False)
    monkeypatch.setattr(benchmark_rivals, "compare", few)
    code, out, _ = benchmark("diagram", "--against", "torch")
    assert code == 0
    lines = out.splitlines()
    assert any("grokking_pl" in line and f"PyTorch {torch.__version__}" in line for line in lines)
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    assert [row[0] for row in rows] == ["1", "3"]
    assert all(float(cell) > 0 for row in rows for cell in row[1:])


def test_without_jax(benchmark, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    code, out, err = benchmark("mnist", "diagram", "--against", "jax")
    assert code.startswith("JAX cannot be imported")
    assert code.endswith("pip install 'grokking_pl[bench]'")
    assert "\n" not in code
    assert out == err == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("mnist", "--against", "torch"), "--against compares the section diagram, which is not among those given"),
        (("diagram", "--against", "tensorflow"), "argument --against: invalid choice: 'tensorflow'"),
    ],
)
def test_mistakes(benchmark, words, message):
    code, out, err = benchmark(*words)
    assert code == 2
    assert out == ""
    assert message in err.splitlines()[-1]


def test_growth_is_measured(monkeypatch, capsys):
    """With few symbols and no members."""
    monkeypatch.setattr(sys, "argv", ["benchmark_scale.py", "--largest", "100", "--members", "0"])
    threads = torch.get_num_threads()
    try:
        runpy.run_path(str(ROOT / "scripts/benchmark_scale.py"), run_name="__main__")
    finally:
        torch.set_num_threads(threads)
    lines = capsys.readouterr().out.splitlines()
    for name in ("table of a + b", "RQI, d = 1", "RQI, d = 64", "rate λ₃"):
        rows = [line.split()[-2:] for line in lines if line.lstrip().startswith(f"{name} ")]
        assert [int(size) for size, _ in rows] == [30, 56, 100]
        assert all(float(seconds) > 0 for _, seconds in rows)
        assert any(line.startswith(f"{name}: exponent ") for line in lines)


def test_imports_are_summed_by_package():
    spent = imports_of(["configs"])
    assert min(spent[package] for package in ("yaml", "grokking_pl")) > 0
    assert not {"torch", "lightning", "numpy"} & {*spent}, "a list of files needs none of these"
