"""The table that ``grok predict`` writes."""

import pandas as pd
import pytest
import torch

from tests.training.test_other_peoples import Line

OPTIONS = ["--data=tests.training.test_other_peoples.Points", "--trainer.enable_progress_bar=false"]


class PlainTensor(Line):
    def predict_step(self, batch, batch_idx):
        return super().predict_step(batch, batch_idx)["value"]


class Vectors(Line):
    def predict_step(self, batch, batch_idx):
        return batch[0].expand(-1, 2)


class Nothing(Line):
    def predict_step(self, batch, batch_idx):
        return None


class Unused(Line):
    def __init__(self):
        super().__init__()
        raise AssertionError("the module was made")


@pytest.fixture
def predict(grok, tmp_path):
    """Predict by a module of this file, with the weights of a line that two steps have trained."""
    run = ["--run_dir", tmp_path, *OPTIONS]
    status, _, err = grok(
        "fit", f"--model={__name__}.PlainTensor", "--trainer.max_steps=2", "--trainer.logger=[]", *run
    )
    assert status == 0, err
    path = tmp_path / "predictions.csv"
    return path, lambda module: grok("predict", f"--model={__name__}.{module}", "--ckpt_path=last", *run)


def test_plain_tensor(predict):
    path, run = predict
    assert run("PlainTensor")[:2] == (0, f"40 predictions in {path}\n")
    table = pd.read_csv(path)
    assert list(table) == ["sample", "prediction"]
    assert table["sample"].tolist() == list(range(40))


def test_vectors(predict):
    path, run = predict
    assert run("Vectors")[0] == 0
    x = torch.linspace(-1, 1, 40).tolist()
    assert pd.read_csv(path).prediction.map(eval).tolist() == [[value, value] for value in x]


def test_what_is_no_tensor_is_one_line(predict):
    path, run = predict
    status, _, err = run("Nothing")
    assert status == 2
    assert "predict_step returns NoneType" in err
    assert not path.exists()


def test_nothing_is_overwritten(predict):
    """That is said before any work."""
    path, run = predict
    path.write_text("mine\n")
    status, out, err = run("Unused")
    assert (status, out) == (2, "")
    assert err == f"grok: error: {path} already holds predictions: move or delete it to predict again\n"
    assert path.read_text() == "mine\n"
