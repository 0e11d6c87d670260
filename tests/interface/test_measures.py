"""Measures of NumPy arrays and tensors: the same numbers, the kind that was given, and one line for wrong shapes."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import grokking_pl as gp
from tests.shapes import unchecked

TABLE = gp.tasks.addition(6)
VALUES = arrays(
    np.float64, st.tuples(st.integers(1, 3), st.just(6), st.integers(1, 3)), elements=st.floats(-3, 3, width=16)
)
MEASURES = {
    "rqi": lambda values: gp.rqi(values, TABLE),
    "predicted_accuracy": lambda values: gp.predicted_accuracy(values, TABLE, [0, 3, 5]),
    "effective_dimension": gp.effective_dimension,
    "explained_variance": gp.explained_variance,
    "fourier_power": gp.fourier_power,
    "key_frequencies": gp.key_frequencies,
}
PURE = {
    "rqi": lambda values: gp.metrics.rqi(gp.Representation(values), TABLE),
    "predicted_accuracy": lambda values: gp.metrics.predicted_accuracy(
        gp.Representation(values), TABLE, torch.tensor([0, 3, 5])
    ),
    **{name: getattr(gp.metrics, name) for name in [*MEASURES][2:]},
}


@pytest.mark.parametrize("name", MEASURES)
@settings(max_examples=15)
@given(values=VALUES)
def test_arrays_and_tensors_alike(name, values):
    pure = PURE[name](torch.from_numpy(values))
    for given_values, back in (
        (values, np.ndarray),
        (values.tolist(), np.ndarray),
        (torch.from_numpy(values), torch.Tensor),
    ):
        result = MEASURES[name](given_values)
        assert isinstance(result, back)
        assert np.array_equal(np.asarray(result), pure.numpy())
    one = MEASURES[name](values[0])
    # A batch may be computed in another order.
    np.testing.assert_allclose(one, pure[0].numpy(), atol=1e-12)
    assert np.ndim(one) == pure.ndim - 1


def test_one_representation_gives_one_number():
    assert gp.rqi(np.arange(6)[:, None], TABLE) == 1.0
    for value in (
        gp.rqi(np.arange(6)[:, None], TABLE),
        gp.rqi(np.arange(6, dtype=np.float32)[:, None], TABLE),
        gp.ideal_accuracy(TABLE),
        gp.effective_dimension(np.eye(6)),
    ):
        assert type(value) is float
    assert gp.ideal_accuracy(TABLE, np.ones(len(TABLE), dtype=bool)) == 1.0
    group = gp.tasks.symmetric_group(3)
    eyes = np.tile(np.eye(2).reshape(1, 4), (6, 1))
    assert gp.rqi(eyes, group, combine=gp.metrics.matrix_product) == 1.0


def test_types_of_arrays():
    for dtype in (np.float16, np.float32, np.int64, np.uint8, ">f8", bool):
        values = np.array([[0, 1], [1, 0], [1, 1], [0, 0], [1, 1], [0, 1]], dtype=dtype)
        values.setflags(write=False)
        assert gp.effective_dimension(values) == pytest.approx(
            float(gp.effective_dimension(values.astype(float))), rel=1e-3
        )


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (
            np.zeros(6),
            "embeddings of shape (6,) were given, expected (*batch, p, d), "
            "one row per symbol: for one number per symbol, give array[:, None]",
        ),
        (np.zeros((6, 0)), "embeddings of shape (6, 0) were given"),
        (np.zeros((2, 5, 3)), "of shape (2, 5, 3) were given for a + b, which has 6 symbols: expected (*batch, 6, d)"),
        ("line", "str was given as embeddings"),
        ([[1, 2], [3]], "list was given as embeddings"),
        (np.full((6, 1), np.inf), "embeddings are nan or infinite"),
        (np.zeros((6, 2), dtype=complex), "complex128"),
    ],
)
def test_wrong_arrays(values, wanted):
    with pytest.raises(gp.UserError, match=re.escape(wanted)) as error:
        gp.rqi(values, TABLE)
    assert "\n" not in str(error.value)


def test_wrong_training_set():
    with pytest.raises(gp.UserError):
        gp.predicted_accuracy(np.zeros((6, 1)), TABLE, [0, 99])
    with pytest.raises(gp.UserError, match="str was given as a training set"):
        gp.predicted_accuracy(np.zeros((6, 1)), TABLE, "all")


def test_a_number_in_place_of_a_task():
    line = np.arange(10.0)[:, None]
    wanted = re.escape("10 was given as the operation's table: expected a task, such as grokking_pl.tasks.addition(10)")
    for call in (
        lambda: gp.rqi(line, 10),
        lambda: gp.predicted_accuracy(line, 10, [0]),
        lambda: gp.ideal_accuracy(10),
    ):
        with unchecked(), pytest.raises(gp.UserError, match=wanted):
            call()
