"""Speed of the effective theory, relative to the published enumeration of parallelograms in the same run.

python scripts/benchmark_theory.py            all sections, a minute
python scripts/benchmark_theory.py --quick    without p = 30 enumerated
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import combinations

import numpy as np
import torch
from benchmark_commands import MEASURE_MEMORY

from grokking_pl.tasks import addition
from grokking_pl.theory import critical_sizes, predict, probability_of_unique_structure

Row = tuple[str, str, str]
"""Quantity measured, result, and target."""

RATE_OF_MANY_SYMBOLS = """
import sys, time, torch
from grokking_pl.tasks import addition
from grokking_pl.theory import grokking_rate

table = addition(2000)
half = torch.rand(len(table), generator=torch.Generator().manual_seed(0)) < 0.5
start, processor = time.perf_counter(), time.process_time()
grokking_rate(table, half)
print(time.perf_counter() - start, time.process_time() - processor, file=sys.stderr)
"""


def by_enumeration(p: int, train: list[int]) -> tuple[np.ndarray, int, float]:
    """Spectrum, nullity and ideal accuracy by the algorithm of the authors' published code.

    All pairs of samples are compared, once for P0 and once for P0(D). Each parallelogram outside P0(D) is added to the
    equations, whose nullity is then recomputed. Each validation sample is looked up in a list for a training sample
    with which it has an implied parallelogram.
    """
    samples = [(i, j) for i in range(p) for j in range(i, p)]
    indices = np.array(train)
    parallelograms = [
        (s, t) for s, t in combinations(range(len(samples)), 2) if np.sum(samples[s]) == np.sum(samples[t])
    ]
    equations = np.zeros((len(parallelograms), p))
    for row, (s, t) in zip(equations, parallelograms, strict=True):
        for symbol in samples[s]:
            row[symbol] += 1
        for symbol in samples[t]:
            row[symbol] -= 1
    of_train, number = [], 0
    for s, t in combinations(range(len(samples)), 2):
        if np.sum(samples[s]) == np.sum(samples[t]):
            if s in indices and t in indices:
                of_train.append(number)
            number += 1
    spectrum = np.linalg.eigvalsh(equations[of_train].T @ equations[of_train])
    nullity = int(np.sum(spectrum < 1e-8))
    implied = [{samples[s], samples[t]} for s, t in (parallelograms[k] for k in of_train)]
    for k in set(range(len(parallelograms))) - set(of_train):
        extended = equations[[*of_train, k]]
        if np.sum(np.linalg.eigvalsh(extended.T @ extended) < 1e-8) == nullity:
            implied.append({samples[parallelograms[k][0]], samples[parallelograms[k][1]]})
    validation = set(range(len(samples))) - set(train)
    inferred = sum(any({samples[s], samples[t]} in implied for t in train) for s in validation)
    return spectrum * 2 / (p * len(of_train)), nullity, (len(train) + inferred) / len(samples)


def seconds(function: Callable[[], object], repeats: int) -> float:
    """The median time of a call, after an untimed one."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def one_split(p: int, fraction: float, repeats: tuple[int, int], aim: str) -> Row:
    """Spectrum, nullity and ideal accuracy of one split, by the library and by enumeration."""
    table = addition(p)
    order = np.random.RandomState(0).permutation(len(table))[: round(fraction * len(table))]
    mask = torch.zeros(len(table), dtype=torch.bool).index_fill_(0, torch.from_numpy(order), True)
    slow_spectrum, slow_n0, slow_accuracy = by_enumeration(p, order.tolist())
    ours = predict(table, mask)
    assert ours.n0 == slow_n0
    assert abs(ours.ideal_accuracy - slow_accuracy) < 1e-12
    assert np.allclose(ours.spectrum.numpy(), slow_spectrum, atol=1e-12)
    fast = seconds(lambda: predict(table, mask), repeats[0])
    if repeats[1]:
        slow = seconds(lambda: by_enumeration(p, order.tolist()), repeats[1])
    else:
        start = time.perf_counter()
        by_enumeration(p, order.tolist())
        slow = time.perf_counter() - start
    figure = f"{slow / fast:.0f} x ({1e3 * slow:.1f} ms to {1e3 * fast:.2f} ms)"
    return f"one split, p = {p}, fraction {fraction:.2f}: spectrum, n0, ideal accuracy", figure, aim


def rate_of_many_symbols() -> Row:
    """Seconds and memory for lambda_3 of many symbols, in a process of its own."""
    job = [sys.executable, "-c", MEASURE_MEMORY, sys.executable, "-c", RATE_OF_MANY_SYMBOLS]
    done = subprocess.run(job, check=True, capture_output=True, text=True)
    spent, processor = map(float, done.stderr.split())
    figure = f"{spent:.1f} s ({processor:.1f} of all cores), {int(done.stdout) / 1024**2:.2f} GB"
    return "lambda_3, p = 2000, half of the pairs", figure, "10 s, 2 GB"


def theory(quick: bool = False) -> list[Row]:
    """Measure all sections."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several threads do not help on such small matrices
    rows = [one_split(10, fraction, (200, 20), "50 x") for fraction in (45 / 55, 30 / 55, 22 / 55)]
    if not quick:
        rows.append(one_split(30, 0.5, (50, 0), "2000 x"))
    torch.set_num_threads(threads)
    start = time.perf_counter()
    probability_of_unique_structure(addition(10), 10_000, seed=0)
    rows.append(("10000 training sets of each of 55 sizes, p = 10", f"{time.perf_counter() - start:.2f} s", "20 s"))
    rows.append(rate_of_many_symbols())
    start = time.perf_counter()
    critical_sizes(addition(1000), 2)
    rows.append(("critical size, p = 1000, each", f"{(time.perf_counter() - start) / 2:.1f} s", "-"))
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="skip the enumeration at p = 30")
    for what, figure, aim in theory(parser.parse_args().quick):
        print(f"{what:70} {figure:32} aim {aim}")
