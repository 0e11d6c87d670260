"""Backends of ``torch.compile`` for tests: they compile at once, and fail as told."""


class Counting:
    """Runs graphs as they are, and counts them."""

    def __init__(self):
        self.graphs = 0

    def __call__(self, graph, inputs, **options):
        self.graphs += 1
        return graph.forward


class BackendError(Exception):
    pass


def fails_to_compile(graph, inputs, **options):
    raise BackendError("no compiler here")


def fails_to_run(graph, inputs, **options):
    """What it makes does all the work before it fails."""

    def run(*tensors):
        graph.forward(*tensors)
        raise BackendError("no driver here")

    return run
