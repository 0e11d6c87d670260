"""A compiled step gives the numbers of the step as it is, whatever else is compiled, and where compiling fails."""

import pytest
import torch

from grokking_pl.experiments import set_value
from grokking_pl.metrics.crossings import PhaseCriteria
from grokking_pl.population.batch import Batch
from grokking_pl.population.compilation import CompiledStep, forget_compiled_steps
from grokking_pl.population.fast_tanh import FastTanh
from grokking_pl.population.member import MemberBuilder
from tests.population.compiled_backends import Counting, fails_to_compile, fails_to_run
from tests.population.test_equals_fit import build_members, settings_of

BUDGET = 1000


@pytest.fixture(scope="module")
def builder():
    return MemberBuilder()


@pytest.fixture
def backend():
    """Choose the backend with which ``torch.compile`` compiles, the usual one after the test."""
    yield torch.compiler.set_default_backend
    torch.compiler.set_default_backend(None)


def members_of(name, builder, **changes):
    settings = settings_of(name, builder)
    for member_settings, _ in settings:
        for path, value in changes.items():
            set_value(member_settings, path, value)
    return build_members(builder, settings)


def batch_of(members, compiled):
    batch = Batch(members[0], len(members), PhaseCriteria(), BUDGET, compiled=compiled)
    for member in members:
        batch.put(member)
    return batch


def assert_same(batch, other, **tolerances):
    for name, value in batch.state.parameters.items():
        torch.testing.assert_close(value, other.state.parameters[name], **tolerances)


def test_batches_of_one_process_have_graphs_of_their_own(builder, backend):
    counting = Counting()
    backend(counting)
    dropout = {"model.architecture.dropout": 0.5}
    chosen = {
        "regression": members_of("regression", builder),
        "fewer places": members_of("regression", builder)[:2],
        "another loss": members_of("classification", builder),
    }
    batches = {name: (batch_of(members, True), batch_of(members, False)) for name, members in chosen.items()}
    at_random = batch_of(members_of("transformer", builder, **dropout)[:1] * 2, True)
    for _ in range(3):  # in turn, so that every graph could be taken for any batch
        for compiled, plain in batches.values():
            compiled.advance(2)
            plain.advance(2)
        at_random.advance(2)
    assert counting.graphs == len(batches) + 1
    for compiled, plain in batches.values():
        assert compiled.compile_seconds > 0
        assert_same(compiled, plain, rtol=1e-4, atol=1e-5)  # one has the fast hyperbolic tangent
    one, other = at_random.state.parameters["network.classifier.weight"]
    assert not torch.equal(one, other)  # the graph has the dropout, which differs by member


class Sum:
    """A state that a step can change."""

    def __init__(self):
        self.total = torch.zeros(3)

    def tensors(self):
        return [self.total]


def add(network, state, summand):
    state.total.add_(summand.sum() if torch.is_grad_enabled() else -summand.sum())


def test_a_graph_that_no_longer_fits_is_compiled_anew(backend):
    counting = Counting()
    backend(counting)
    step, plain = CompiledStep(add), Sum()
    compiled = Sum()

    def both(summand):
        step(None, compiled, summand)
        add(None, plain, summand)
        assert torch.equal(compiled.total, plain.total)
        return counting.graphs

    assert both(torch.ones(2)) == both(torch.rand(2)) == 1
    assert both(torch.ones(5)) == 2
    assert both(torch.ones(5, dtype=torch.float64)) == 3
    with torch.no_grad():
        assert both(torch.ones(5)) == 4
    torch.set_num_threads(2)
    assert both(torch.ones(5)) == 5
    torch.set_num_threads(1)
    assert both(torch.ones(5)) == 5


def test_what_was_compiled_can_be_forgotten(backend):
    counting = Counting()
    backend(counting)
    step, state = CompiledStep(add), Sum()
    for graphs in (1, 2):
        step(None, state, torch.ones(2))
        step(None, state, torch.ones(2))
        assert counting.graphs == graphs
        forget_compiled_steps()
    assert torch.equal(state.total, torch.full((3,), 8.0))


@pytest.mark.parametrize("name", ["regression", "batches"])
@pytest.mark.parametrize("failing", [fails_to_compile, fails_to_run])
def test_a_failed_compilation_changes_no_number(name, failing, builder, backend, capsys):
    backend(failing)
    members = members_of(name, builder)
    compiled, plain = batch_of(members, True), batch_of(members, False)
    for batch in (compiled, plain):
        batch.advance(3)
    assert compiled.compile_seconds == 0
    assert_same(compiled, plain, rtol=0, atol=0)
    assert compiled.steps == plain.steps
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("training without torch.compile: ")
    assert "here" in line


def test_the_fast_tanh_is_exact_to_a_few_roundings():
    compiled = torch.compile(FastTanh(), backend="eager", fullgraph=True)
    inputs = torch.cat([torch.linspace(-12, 12, 20_001), torch.logspace(-30, 1, 2000)])
    values, expected = compiled(inputs).double(), torch.tanh(inputs.double())
    assert ((values - expected).abs() <= 4e-7 * expected.abs()).all()
    assert torch.equal(FastTanh()(inputs), torch.tanh(inputs))


def test_the_fast_tanh_has_the_gradient_of_tanh():
    compiled = torch.compile(FastTanh(), backend="aot_eager", fullgraph=True)
    inputs = torch.linspace(-5, 5, 1001, requires_grad=True)
    compiled(inputs).sum().backward()
    torch.testing.assert_close(inputs.grad, 1 - torch.tanh(inputs.detach()) ** 2, rtol=1e-4, atol=1e-6)
