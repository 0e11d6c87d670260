"""Batches: every sample once a pass, in an order that depends on (seed, pass) alone, shared out over processes."""

from itertools import chain, islice

import torch
from hypothesis import given
from hypothesis import strategies as st

from grokking_pl.data.batches import EvaluationBatches, TrainingBatches, shuffled

COUNTS = st.integers(1, 40)
SEEDS = st.integers(0, 2**64 - 1)


def batches(num_samples, batch_size, seed, start, count) -> list[list[int]]:
    """The samples of ``count`` batches after the first ``start``."""
    samples = torch.arange(num_samples)
    return [samples[index].tolist() for index in islice(shuffled(num_samples, batch_size, seed)(start), count)]


@given(COUNTS, COUNTS, SEEDS)
def test_every_pass_visits_each_sample_once(num_samples, batch_size, seed):
    per_pass = -(-num_samples // batch_size)
    found = batches(num_samples, batch_size, seed, 0, 3 * per_pass)
    for number in range(3):
        one_pass = found[number * per_pass : (number + 1) * per_pass]
        assert sorted(chain(*one_pass)) == list(range(num_samples))
        assert all(len(batch) == batch_size for batch in one_pass[:-1])


@given(COUNTS, COUNTS, SEEDS, st.integers(0, 90))
def test_starting_later_is_skipping(num_samples, batch_size, seed, start):
    whole = batches(num_samples, batch_size, seed, 0, start + 20)
    assert batches(num_samples, batch_size, seed, start, 20) == whole[start:]


def test_passes_and_seeds_have_orders_of_their_own():
    first, second = batches(50, 50 // 2, 0, 0, 2), batches(50, 50 // 2, 0, 2, 2)
    assert first != second
    assert batches(50, 25, 1, 0, 2) != first


def test_global_generator_is_not_used():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = batches(50, 7, 0, 0, 20)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert batches(50, 7, 0, 0, 20) == first


@given(COUNTS, COUNTS, SEEDS, st.integers(1, 4))
def test_processes_share_each_batch(num_samples, batch_size, seed, world_size):
    numbers = torch.arange(num_samples)
    data = (numbers, -numbers)

    def first(rank, world_size):
        stream = TrainingBatches(data, shuffled(num_samples, batch_size, seed), 8, rank, world_size)
        return [(inputs.tolist(), targets.tolist()) for inputs, targets in islice(stream, 8)]

    single = first(0, 1)
    shares = [first(rank, world_size) for rank in range(world_size)]
    for step, (inputs, targets) in enumerate(single):
        if len(inputs) < world_size:
            assert all(share[step][0] == inputs for share in shares)
        else:
            assert sorted(chain(*(share[step][0] for share in shares))) == sorted(inputs)
        assert targets == [-number for number in inputs]
        assert all(share[step][1] == [-number for number in share[step][0]] for share in shares)


@given(COUNTS, COUNTS, st.integers(0, 30))
def test_position_survives_a_checkpoint(num_samples, batch_size, consumed):
    data = (torch.arange(num_samples), torch.arange(num_samples))

    def stream():
        return TrainingBatches(data, shuffled(num_samples, batch_size, 0), 10)

    whole = [batch[0].tolist() for batch in islice(stream(), consumed + 5)]
    first, second = stream(), stream()
    list(islice(first, consumed))
    second.load_state_dict(first.state_dict())
    assert [batch[0].tolist() for batch in islice(second, 5)] == whole[consumed:]


@given(st.integers(0, 40), COUNTS, st.integers(1, 4))
def test_evaluation_sees_each_sample_once(num_samples, batch_size, world_size):
    numbers = list(range(num_samples))
    data = (torch.arange(num_samples), -torch.arange(num_samples))
    seen = []
    for rank in range(world_size):
        batches = EvaluationBatches(data, batch_size, rank, world_size)
        chunks = list(batches)
        assert len(chunks) == len(batches)
        mine = []
        for inputs, targets in chunks:
            assert 0 < len(inputs) <= batch_size
            assert torch.equal(targets, -inputs)
            mine += inputs.tolist()
        assert mine == list(batches.samples)
        seen.append(mine)
    if num_samples < world_size:
        assert seen == [numbers] * world_size
    else:
        assert sorted(chain(*seen)) == numbers
