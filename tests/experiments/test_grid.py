import pytest

from grokking_pl.errors import UserError
from grokking_pl.experiments.grid import Grid, read_axis, read_grid
from grokking_pl.experiments.settings import check_name, set_value


def test_cells_have_every_combination_once():
    grid = Grid({"a": [1, 2, 3], "b": ["x", "y"]}, [0, 7])
    cells = list(grid.cells())
    assert len(cells) == len(grid) == 12
    assert [cell.index for cell in cells] == list(range(12))
    assert len({(cell.values, cell.seed) for cell in cells}) == 12


def test_logarithmic_axis_has_the_published_values():
    axis = read_axis("lr", {"scale": "log", "low": 1e-5, "high": 1e-2, "n": 10})
    assert axis[0] == pytest.approx(1e-5, rel=1e-14)
    assert axis[3] == pytest.approx(1e-4, rel=1e-14)
    assert axis[1] == pytest.approx(2.1544346900318823e-05, rel=1e-14)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([], "empty"),
        ([1, 1], "duplicate"),
        (3, "give a list"),
        ({"scale": "log", "low": 0, "high": 1, "n": 3}, "above 0"),
        ({"scale": "log", "low": 1, "high": 1e-3, "n": 3}, "low must be below high"),
        ({"scale": "cubic", "low": 1, "high": 2, "n": 3}, "linear or log"),
        ({"scale": "log", "low": 1, "high": 2, "n": 0}, "n = 0"),
        ({"scale": "log", "low": "a", "high": 2, "n": 2}, "must be numbers"),
        ({"scale": "log", "from": 1, "high": 2, "n": 2}, "from, low"),
    ],
)
def test_wrong_axis(given, wanted):
    with pytest.raises(UserError, match=wanted):
        read_axis("model.decoder.lr", given)


def test_wrong_path_names_the_nearest():
    with pytest.raises(UserError, match=r"did you mean model\.decoder\.lr"):
        check_name("model.decodr.lr", ["model.decoder.lr", "model.embeddings.lr", "data.batch_size"])


def test_paths_leave_out_init_args():
    settings = {"data": {"class_path": "D", "init_args": {"task": {"class_path": "t", "init_args": {"p": 10}}}}}
    set_value(settings, "data.task.p", 7)
    assert settings["data"]["init_args"]["task"]["init_args"]["p"] == 7


def test_an_axis_may_set_several_settings_under_a_short_name():
    decay = {"paths": ["model.embeddings.weight_decay", "model.decoder.weight_decay"], "label": "weight decay"}
    grid = read_grid({"decay": {**decay, "values": [0, 0.1]}, "model.decoder.lr": [1e-3]}, [0])
    base = {"model": {"embeddings": {"weight_decay": 3}, "decoder": {"weight_decay": 3, "lr": 1}}}
    settings = grid.settings(base, grid.cell(1))["model"]
    assert settings == {"embeddings": {"weight_decay": 0.1}, "decoder": {"weight_decay": 0.1, "lr": 1e-3}}
    assert [grid.label_of(axis) for axis in grid.axes] == ["weight decay", "model.decoder.lr"]
    logarithmic = read_grid({"decay": {**decay, "scale": "log", "low": 0.01, "high": 1, "n": 3}}, [0])
    assert logarithmic.axes["decay"] == pytest.approx([0.01, 0.1, 1])


@pytest.mark.parametrize(
    ("axes", "seeds", "wanted"),
    [
        ({}, [0], "there are 0 axes"),
        ({"a": [1], "b": [1], "c": [1]}, [0], "there are 3 axes"),
        ({"x": {"paths": ["a"], "values": [1]}, "a": [2]}, [0], "the axes set a twice"),
        ({"x": {"paths": ["a", "a"], "values": [1]}}, [0], "the axes set a twice"),
        ({"a": {"label": "l", "values": [1]}, "b": {"label": "l", "values": [1]}}, [0], "two axes have the label l"),
        ({"a": {"label": "b", "values": [1]}, "b": [2]}, [0], "two axes have the label b"),
        ({"a.b": [1], "a": [2]}, [0], "sets a, which includes a.b"),
        ({"phase": {"paths": ["a"], "values": [1]}}, [0], "which is a column of the results"),
        ({"x": {"paths": [], "values": [1]}}, [0], r"paths \[\]"),
        ({"x": {"paths": ["a"], "values": []}}, [0], "empty"),
        ({"a": {"scale": "log", "low": 1, "high": 2, "n": 10**9}}, [0], "n = 1000000000"),
        ({"a": [1], "b": list(range(2000))}, list(range(1000)), "2000000 runs"),
        ({"a": [1]}, [-1], "a seed is -1"),
        ({"a": [1]}, [0.5], "a seed is 0.5"),
        ({"a": [1e-5, 1e-5 * (1 + 1e-15)]}, [0], "duplicate"),
    ],
)
def test_wrong_grid(axes, seeds, wanted):
    with pytest.raises(UserError, match=wanted):
        read_grid(axes, seeds)
