"""The metrics as a table: rows merge by step, columns may come later, and a resumed file is that of a whole run."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokking_pl.errors import UserError
from grokking_pl.runs import CSVMetrics
from grokking_pl.runs.csv_metrics import read_rows


def table(path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_metrics_of_a_step_share_a_row(tmp_path):
    logger = CSVMetrics(tmp_path / "run/metrics.csv")
    logger.log_metrics({"loss": 0.5}, step=1)
    logger.log_metrics({"accuracy": 0.25, "phase": "confusion"}, step=1)
    logger.log_metrics({"loss": 0.1}, step=2)
    logger.log_metrics({"accuracy": 0.75}, step=2)
    logger.finalize("success")
    assert table(logger.path) == [
        {"step": "1", "loss": "0.5", "accuracy": "0.25", "phase": "confusion"},
        {"step": "2", "loss": "0.1", "accuracy": "0.75", "phase": ""},
    ]


def test_columns_that_come_later(tmp_path):
    logger = CSVMetrics(tmp_path / "metrics.csv")
    logger.log_metrics({"loss": 0.5}, step=1)
    logger.save()
    logger.log_metrics({"loss": 0.25, "rqi": 1.0}, step=2)
    logger.save()
    assert table(logger.path) == [{"step": "1", "loss": "0.5", "rqi": ""}, {"step": "2", "loss": "0.25", "rqi": "1.0"}]


def test_saving_writes_everything_and_nothing_twice(tmp_path):
    logger = CSVMetrics(tmp_path / "metrics.csv")
    for step in range(5):
        logger.log_metrics({"loss": step}, step)
        logger.save()
        assert [row["step"] for row in table(logger.path)] == [str(number) for number in range(step + 1)]
    logger.finalize("success")
    assert len(table(logger.path)) == 5


def log(logger, steps):
    for step in steps:
        logger.log_metrics({"loss": step / 7} | ({"rare": step} if step % 5 == 4 else {}), step)
    logger.finalize("success")


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 60))
def test_resumed_file_is_that_of_a_whole_run(tmp_path_factory, checkpoint, beyond, cut):
    """Stopped after some steps beyond its checkpoint, and in the middle of a line, it goes on as if it never was."""
    folder = tmp_path_factory.mktemp("csv")
    log(CSVMetrics(folder / "whole.csv"), range(20))
    log(CSVMetrics(folder / "metrics.csv"), range(checkpoint + 1))
    saved = (folder / "metrics.csv").read_bytes()
    log(CSVMetrics(folder / "metrics.csv", checkpoint), range(checkpoint + 1, checkpoint + 1 + beyond))
    after = (folder / "metrics.csv").read_bytes()
    if after.startswith(saved):
        (folder / "metrics.csv").write_bytes(after[: max(len(saved), len(after) - cut)])
    log(CSVMetrics(folder / "metrics.csv", checkpoint), range(checkpoint + 1, 20))
    assert (folder / "metrics.csv").read_bytes() == (folder / "whole.csv").read_bytes()


def test_new_run_starts_the_file_anew(tmp_path):
    log(CSVMetrics(tmp_path / "metrics.csv"), range(20))
    log(CSVMetrics(tmp_path / "metrics.csv"), range(2))
    assert [row["step"] for row in table(tmp_path / "metrics.csv")] == ["0", "1"]


def test_nothing_logged_leaves_the_file_of_a_resumed_run(tmp_path):
    log(CSVMetrics(tmp_path / "metrics.csv"), range(3))
    before = (tmp_path / "metrics.csv").read_bytes()
    CSVMetrics(tmp_path / "metrics.csv", resume_step=2).finalize("success")
    assert (tmp_path / "metrics.csv").read_bytes() == before


def test_failing_write_is_an_error_for_the_user(tmp_path):
    logger = CSVMetrics(tmp_path / "metrics.csv")
    logger.log_metrics({"loss": 1}, 0)
    logger.path.unlink()
    logger.path.mkdir()
    with pytest.raises(UserError, match=r"cannot write .*metrics\.csv"):
        logger.save()


def test_hyperparameters(tmp_path):
    logger = CSVMetrics(tmp_path / "run/metrics.csv")
    logger.log_hyperparams({"model.decoder.lr": 0.1, "data": "a.B", "run_dir": None})
    logger.log_hyperparams({"width": "a,b\nc"})
    assert table(tmp_path / "run/hyperparameters.csv") == [
        {"name": "model.decoder.lr", "value": "0.1"},
        {"name": "data", "value": "a.B"},
        {"name": "run_dir", "value": ""},
        {"name": "width", "value": "a,b\nc"},
    ]


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abc"), st.booleans()), max_size=30))
def test_rows_are_in_order_and_one_for_each_step_whenever_they_are_logged_and_saved(tmp_path_factory, entries):
    logger = CSVMetrics(tmp_path_factory.mktemp("csv") / "metrics.csv")
    expected: dict[int, dict[str, str]] = {}
    for number, (step, name, saves) in enumerate(entries):
        logger.log_metrics({name: number}, step)
        expected.setdefault(step, {})[name] = str(number)
        if saves:
            logger.save()
    logger.finalize("success")
    rows = table(logger.path)
    assert [int(row["step"]) for row in rows] == sorted(expected)
    for row in rows:
        assert {name: value for name, value in row.items() if value and name != "step"} == expected[int(row["step"])]


def test_a_run_that_logs_nothing_has_an_empty_table(tmp_path):
    CSVMetrics(tmp_path / "metrics.csv").finalize("success")
    assert table(tmp_path / "metrics.csv") == []


@given(st.integers(0, 100))
def test_half_a_line_is_no_row_even_if_it_has_all_columns(tmp_path_factory, length):
    path = tmp_path_factory.mktemp("csv") / "metrics.csv"
    whole = b"step,loss\n1,0.5\n2,0.125\n"
    path.write_bytes(whole[:length])
    assert (
        read_rows(path)
        == [{"step": "1", "loss": "0.5"}, {"step": "2", "loss": "0.125"}][: max(0, whole[:length].count(b"\n") - 1)]
    )
