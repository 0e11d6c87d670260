"""Learning rates and decay that change while a run goes on, and forks: applied, recorded, or refused by name."""

import json
import re
import shutil

import pandas as pd
import pytest
import torch

import grokking_pl as gp
from grokking_pl.runs import RunFolder
from tests.conftest import ROOT

TOY = [
    "--config", str(ROOT / "configs/toy_2d_addition.yaml"), "--model.architecture.width=8", "--trainer.logger=[]",
    "--trainer.enable_progress_bar=false", "--trainer.log_every_n_steps=10", "--trainer.callbacks=PhaseTracker",
    "--trainer.callbacks.every_n_steps=10",
]  # fmt: skip


@pytest.fixture(scope="module")
def fit(grok):
    """Train, and return what is said."""

    def run(folder, steps, *options, toy=TOY):
        status, _, err = grok("fit", *toy, f"--trainer.max_steps={steps}", "--run_dir", folder, *options)
        assert status == 0, err
        return err

    return run


@pytest.fixture(scope="module")
def parent(fit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parent") / "run"
    fit(folder, 20)
    return folder


def checkpoint(folder):
    return torch.load(RunFolder(folder).checkpoint, weights_only=True)


def groups(folder):
    return {group["name"]: group for group in checkpoint(folder)["optimizer_states"][0]["param_groups"]}


def weights(folder):
    return torch.cat([value.flatten() for value in checkpoint(folder)["state_dict"].values()])


def history(folder):
    return json.loads((folder / "settings_history.json").read_text())


def test_rates_and_decay_change_and_are_recorded(fit, tmp_path):
    fit(tmp_path, 10)
    err = fit(tmp_path, 20, "--ckpt_path=last", "--model.decoder.weight_decay=2", "--model.embeddings.lr=0.01")
    assert "from step 10: model.embeddings.lr 0.0003 -> 0.01, model.decoder.weight_decay 3.0 -> 2.0" in err
    assert (groups(tmp_path)["decoder"]["weight_decay"], groups(tmp_path)["embeddings"]["lr"]) == (2.0, 0.01)
    first = [
        {"from_step": 0, "settings": {"model.embeddings.lr": 0.0003, "model.decoder.weight_decay": 3.0}},
        {"from_step": 10, "settings": {"model.embeddings.lr": 0.01, "model.decoder.weight_decay": 2.0}},
    ]
    assert history(tmp_path) == first
    changed = ["--ckpt_path=last", "--model.decoder.weight_decay=2", "--model.embeddings.lr=0.01"]
    assert "from step" not in fit(tmp_path, 30, *changed)  # the same again
    assert history(tmp_path) == first
    fit(tmp_path, 40, *changed, "--model.decoder.lr=0.5")
    assert history(tmp_path)[0]["settings"]["model.decoder.lr"] == 0.001
    assert history(tmp_path)[-1] == {"from_step": 30, "settings": {"model.decoder.lr": 0.5}}


def test_what_is_not_on_the_command_line_changes_nothing(grok, fit, tmp_path):
    fit(tmp_path, 10)
    fit(tmp_path, 20, "--ckpt_path=last", "--model.decoder.weight_decay=2")
    status, _, err = grok("fit", *TOY, "--trainer.max_steps=30", "--run_dir", tmp_path, "--ckpt_path=last")
    assert (status, len(err.splitlines())) == (2, 1)
    assert "with model.decoder.weight_decay 2.0, not 3.0: give it as it was to resume" in err


def test_the_changed_decay_is_that_of_adamw(fit, tmp_path):
    """Of the same step with two decays, the weights differ by lr (decay - decay') times themselves."""
    fit(tmp_path / "a", 10)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    before = checkpoint(tmp_path / "a")["state_dict"]
    fit(tmp_path / "a", 11, "--ckpt_path=last")
    fit(tmp_path / "b", 11, "--ckpt_path=last", "--model.decoder.weight_decay=8")
    plain, decayed = (checkpoint(tmp_path / name)["state_dict"] for name in "ab")
    assert torch.equal(plain["network.embeddings"], decayed["network.embeddings"])
    rate = groups(tmp_path / "a")["decoder"]["lr"]
    for name in [name for name in before if "decoder" in name]:
        torch.testing.assert_close(plain[name] - decayed[name], rate * 5 * before[name], rtol=1e-3, atol=1e-7)


def test_a_schedule_keeps_its_factor(fit, tmp_path):
    schedule = ["--model.schedule.warmup_steps=40"]
    fit(tmp_path, 10, *schedule)
    fit(tmp_path, 20, *schedule, "--ckpt_path=last", "--model.decoder.lr=0.01")
    assert groups(tmp_path)["decoder"]["lr"] == pytest.approx(0.01 * 20 / 40)
    assert groups(tmp_path)["embeddings"]["lr"] == pytest.approx(0.0003 * 20 / 40)


@pytest.mark.parametrize(
    "schedule",
    [
        ["--model.schedule=OneCycleLR", "--model.schedule.max_lr=0.1", "--model.schedule.total_steps=40"],
        ["--model.schedule=CyclicLR", "--model.schedule.base_lr=0.01", "--model.schedule.max_lr=0.1",
         "--model.schedule.cycle_momentum=false"],
    ],
)  # fmt: skip
def test_a_schedule_with_fixed_rates_is_not_scaled(grok, fit, tmp_path, schedule):
    fit(tmp_path, 10, *schedule)
    changed = [*schedule, "--ckpt_path=last", "--model.decoder.lr=0.01"]
    status, _, err = grok("fit", *TOY, "--trainer.max_steps=20", "--run_dir", tmp_path, *changed)
    name = schedule[0].partition("=")[2]
    assert status == 2
    assert f"model.decoder.lr cannot change with {name}, whose rates are fixed at its start: start a new run" in err
    assert not (tmp_path / "settings_history.json").exists()
    fit(tmp_path, 20, *schedule, "--ckpt_path=last")


def test_a_fork_without_changes_is_the_same_run(fit, parent, tmp_path):
    fit(tmp_path / "whole", 30)
    fit(tmp_path / "fork", 30, "--fork", parent)
    assert torch.equal(weights(tmp_path / "whole"), weights(tmp_path / "fork"))
    summary = json.loads((tmp_path / "fork/summary.json").read_text())
    assert summary["parent"] == f"{parent}@20"
    assert history(tmp_path / "fork")[-1] == {"from_step": 20, "settings": {}, "parent": f"{parent}@20"}
    assert RunFolder(parent).read_summary()["steps"] == 20
    # Its configuration repeats it from the same step, whatever its parent does later; its metrics are the whole run's.
    assert gp.load(tmp_path / "fork").config["fork"] == f"{parent}@20"
    fork, whole = (gp.load(tmp_path / name).metrics[["step", "val_accuracy"]] for name in ("fork", "whole"))
    pd.testing.assert_frame_equal(fork, whole)


def test_a_class_by_another_of_its_names_is_the_same(fit, parent, tmp_path):
    fit(tmp_path / "fork", 30, "--fork", parent, "--model=grokking_pl.GrokkingModule", toy=[])


def test_runs_with_other_settings_at_first_are_another_group(fit, parent, tmp_path):
    """A fork, a run whose decay changed, and one that had that decay from the beginning."""
    decay = "--model.decoder.weight_decay=1"
    fit(tmp_path / "fork", 30, "--fork", parent, decay)
    fit(tmp_path / "resumed", 10)
    fit(tmp_path / "resumed", 30, "--ckpt_path=last", decay)
    fit(tmp_path / "scratch", 30, decay)
    fit(tmp_path / "unchanged", 30, "--fork", parent)
    compared = gp.compare([tmp_path / name for name in ("fork", "resumed", "scratch", "unchanged")])
    assert compared.table.group.tolist() == [
        "decoder.weight_decay 3, 1 from step 20",
        "decoder.weight_decay 3, 1 from step 10",
        "decoder.weight_decay 1",
        "decoder.weight_decay 3, fork from step 20",
    ]
    (tmp_path / "fork/settings_history.json").write_text('[{"settings": {}}, 20]')
    with pytest.raises(gp.UserError, match=r"settings_history\.json is corrupt \(it is not a list of changed settings"):
        gp.compare([tmp_path / "fork", tmp_path / "scratch"])


def test_a_fork_with_its_parents_configuration(grok, fit, parent, tmp_path):
    """Without --config; then resumed, which keeps the record of its parent."""
    options = [f"--fork={parent}@20", "--model.decoder.weight_decay=1", "--trainer.callbacks+=GradientFilter"]
    fit(tmp_path / "fork", 30, *options, toy=[])
    assert groups(tmp_path / "fork")["decoder"]["weight_decay"] == 1
    fit(tmp_path / "whole", 40, *options, toy=[])
    fit(tmp_path / "fork", 40, "--ckpt_path=last", toy=["--config", tmp_path / "fork/config.yaml"])
    assert torch.equal(weights(tmp_path / "whole"), weights(tmp_path / "fork"))
    assert grok("validate", "--config", tmp_path / "fork/config.yaml")[0] == 0
    run = gp.load(tmp_path / "fork")
    assert run.summary["parent"] == run.config["fork"] == f"{parent}@20"
    assert not torch.equal(weights(tmp_path / "fork"), weights(parent))


def test_a_fork_of_an_earlier_step(fit, parent, tmp_path):
    keep = [
        "--trainer.callbacks+=lightning.pytorch.callbacks.ModelCheckpoint",
        "--trainer.callbacks.every_n_train_steps=10",
    ]
    fit(tmp_path / "a", 20, *keep, "--trainer.callbacks.save_top_k=-1")
    fit(tmp_path / "b", 20, "--fork", f"{tmp_path / 'a'}@10")
    assert torch.equal(weights(tmp_path / "b"), weights(parent))


def test_from_python(parent, tmp_path):
    run = gp.fit(fork=f"{parent}", run_dir=tmp_path / "fork", trainer__max_steps=25, model__decoder__lr=0.1)
    assert run.summary["parent"] == f"{parent}@20"
    assert (
        gp.fit(
            parent / "config.yaml",
            fork=f"{parent}",
            run_dir=tmp_path / "fork",
            trainer__max_steps=30,
            model__decoder__lr=0.1,
        ).summary["steps"]
        == 30
    )


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--fork=PARENT@7"], "has no checkpoint of step 7: it has that of step 20"),
        (["--fork=PARENT@last"], "with step 'last': give RUN@STEP"),
        (["--fork=nowhere@20"], "fork is nowhere@20, but there is no folder nowhere"),
        (["--fork=."], "holds no checkpoint to fork"),
        (
            ["--fork=PARENT", "--seed_everything=9"],
            "was trained with seed_everything 7, not 9, which no fork can change: leave",
        ),
        (
            ["--fork=PARENT", "--data.train_fraction=0.5"],
            "with data.train_fraction 0.9, not 0.5, which no fork can change",
        ),
        (["--fork=PARENT", "--model.architecture.width=9"], "with model.architecture.width 8, not 9, which no fork"),
        (["--fork=PARENT", "--model.decoder=SGD"], "with model.decoder {lr: 0.001, ...}, not torch.optim.SGD"),
        (["--fork=PARENT", "--trainer.max_steps=20"], "the fork begins at step 20, and trainer.max_steps is 20"),
    ],
)
def test_forks_that_cannot_be(grok, parent, tmp_path, options, wanted):
    options = [option.replace("PARENT", str(parent)) for option in options]
    status, out, err = grok("fit", *TOY, "--trainer.max_steps=30", "--run_dir", tmp_path / "run", *options)
    assert (status, out, len(err.splitlines())) == (2, "", 1), err
    assert wanted in err
    assert not (tmp_path / "run/config.yaml").exists()


def test_a_fork_needs_a_folder_of_its_own(grok, parent):
    status, _, err = grok("fit", f"--fork={parent}")
    assert (status, "say its folder with --run_dir" in err) == (2, True)
    status, _, err = grok("fit", f"--fork={parent}", "--run_dir", parent)
    assert (status, "holds a finished run" in err) == (2, True)


def test_another_fork_is_not_resumed(grok, fit, parent, tmp_path):
    """Nor a run that is no fork; the same fork is, with or without its step."""
    fit(tmp_path / "fork", 25, "--fork", parent)
    fit(tmp_path / "run", 10)
    for run, other, wanted in (
        ("fork", tmp_path / "run", f"fork was forked from {parent}@20, so --fork {tmp_path / 'run'} cannot be resumed"),
        ("fork", f"{parent}@10", f"fork was forked from {parent}@20, so --fork {parent}@10 cannot be resumed"),
        ("run", parent, f"run is not a fork, so --fork {parent} cannot be resumed there: give another --run_dir"),
    ):
        status, _, err = grok("fit", *TOY, "--run_dir", tmp_path / run, "--ckpt_path=last", "--fork", other)
        assert (status, len(err.splitlines()), wanted in err) == (2, 1, True), err
    for steps, same in ((30, parent), (35, f"{parent}@20")):
        fit(tmp_path / "fork", steps, "--ckpt_path=last", "--fork", same)


def test_a_damaged_history_is_named(grok, fit, tmp_path):
    fit(tmp_path, 10)
    kept = checkpoint(tmp_path)
    torch.save({**kept, "settings_history": "[3"}, RunFolder(tmp_path).checkpoint)
    status, _, err = grok("fit", *TOY, "--trainer.max_steps=20", "--run_dir", tmp_path, "--ckpt_path=last")
    assert status == 2
    assert re.search("damaged|does not say which settings have changed", err)
