"""What the project relies on in Lightning and torch without a promise; each failure says what has changed."""

import logging
import os
import subprocess
import sys
import textwrap

import lightning.pytorch as pl
import pytest
import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies import DDPStrategy
from lightning.pytorch.callbacks import LambdaCallback

from grokking_pl.errors import UserError
from grokking_pl.training.lightning_internals import (
    HOOK_NAME,
    HOOKS_OF_A_STEP,
    OBSERVED,
    OBSERVER,
    NoProfiler,
    QuickHookName,
    call_on_lost_process,
    check_restored_checkpoint,
    launched_processes,
    leave_out_empty_hooks,
)
from tests.conftest import ROOT


class Line(QuickHookName, pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        return self.layer(batch[0]).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(6, 1)), batch_size=2)


@pytest.fixture
def train(tmp_path):
    def fit(module, *callbacks, **options):
        trainer = pl.Trainer(
            accelerator="cpu", max_steps=3, logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, default_root_dir=tmp_path, callbacks=list(callbacks), **options,
        )  # fmt: skip
        trainer.fit(module)
        return trainer

    return fit


def test_lightning_names_the_running_hook_in_an_attribute(train):
    names = []

    class Watch(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            names.append(vars(pl_module).get(HOOK_NAME))

    train(Line(), Watch())
    assert names == ["on_train_batch_end"] * 3, (
        f"Lightning no longer names the running hook in {HOOK_NAME}: QuickHookName speeds up nothing, so find the new "
        "name or remove it"
    )


def test_other_attributes_of_a_module_are_registered():
    module = Line()
    module.more = torch.nn.Linear(2, 2)
    assert "more.weight" in module.state_dict()


@pytest.mark.parametrize("hook", HOOKS_OF_A_STEP)
def test_hooks_of_a_step_exist(hook):
    for base in (pl.Callback, pl.LightningModule):
        assert callable(getattr(base, hook, None)), f"Lightning's {base.__name__} has no hook {hook} any more"


def test_lightning_passes_over_hooks_that_are_left_out(train):
    module, callback = Line(), pl.Callback()
    leave_out_empty_hooks(module, pl.LightningModule)
    leave_out_empty_hooks(callback, pl.Callback)
    assert {getattr(part, hook) for part in (module, callback) for hook in HOOKS_OF_A_STEP} == {None}
    try:
        trainer = train(module, callback)
    except TypeError as error:
        pytest.fail(f"Lightning calls hooks that are None ({error}): leave_out_empty_hooks must go")
    assert trainer.global_step == 3


class Counts(pl.Callback):
    def __init__(self):
        self.calls = 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.calls += 1


def test_hooks_that_do_something_are_kept(train):
    calls = []
    own, set_on_the_object = Counts(), LambdaCallback(on_train_batch_end=lambda *arguments: calls.append(arguments))
    module = Line()
    module.on_train_batch_start = lambda batch, batch_idx: calls.append("module")
    for callback in (own, set_on_the_object):
        leave_out_empty_hooks(callback, pl.Callback)
    leave_out_empty_hooks(module, pl.LightningModule)
    train(module, own, set_on_the_object)
    assert own.calls == 3
    assert [call == "module" for call in calls] == [True, False] * 3


def test_lambda_callback_of_a_configuration_is_called(grok, small_mnist, tmp_path):
    status, _, err = grok(
        "fit", *small_mnist, "--trainer.max_steps=2", "--run_dir", tmp_path / "run",
        "--trainer.callbacks+=tests.training.test_lightning_internals.Shouts",
    )  # fmt: skip
    assert status == 0, err
    assert err.count("a batch has ended") == 2


class Shouts(LambdaCallback):
    def __init__(self):
        super().__init__(on_train_batch_end=lambda *arguments: print("a batch has ended", file=sys.stderr))


def test_lightning_asks_the_profiler_that_it_is_given(train):
    asked = []

    class Notes(NoProfiler):
        def profile(self, action_name):
            asked.append(action_name)
            return super().profile(action_name)

    train(Line(), profiler=Notes())
    assert "run_training_batch" in asked, "Lightning no longer profiles by Profiler.profile: NoProfiler saves nothing"


def test_a_lost_process_is_noticed_before_all_are_killed():
    program = """
        import os, subprocess, sys
        from lightning.fabric.strategies.launchers import subprocess_script
        from grokking_pl.training.lightning_internals import call_on_lost_process

        call_on_lost_process(lambda: print("replaced", flush=True))
        call_on_lost_process(lambda: print("noticed", flush=True))
        child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
        child.wait()
        subprocess_script._ChildProcessObserver(os.getpid(), [child])._run()
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert ended.stdout == "noticed\n", (
        f"Lightning no longer logs {OBSERVED!r} on the logger {OBSERVER} before it kills the processes of a run, of "
        f"which one has failed: users would see no reason. It printed: {ended.stderr[-500:]}"
    )
    assert ended.returncode < 0


def test_only_one_reaction_to_a_lost_process_is_kept():
    observer, reactions = logging.getLogger(OBSERVER), []
    before = list(observer.handlers)
    try:
        for name in ("first", "second"):
            call_on_lost_process(lambda name=name: reactions.append(name))
        observer.info("Child process with PID 1 terminated with code 9.")
        observer.info("something else")
        assert reactions == ["second"]
    finally:
        observer.handlers[:] = before


def test_a_strategy_knows_the_processes_that_it_started():
    fabric = Fabric(accelerator="cpu", devices=2, strategy=DDPStrategy(process_group_backend="gloo"))
    launcher = fabric.strategy.launcher
    assert isinstance(getattr(launcher, "procs", None), list), (
        f"Lightning's launcher {type(launcher).__name__} no longer lists its processes in procs: those of a diagram "
        "would outlive it"
    )
    launcher.procs.append(subprocess.Popen([sys.executable, "-c", ""]))
    (process,) = launched_processes(fabric.strategy)
    assert process.wait(30) == 0
    assert launched_processes(Fabric(accelerator="cpu", devices=1).strategy) == []


def test_torch_says_that_a_connection_is_lost(tmp_path):
    program = """
        import os, sys, torch, torch.distributed as dist
        from grokking_pl.training.lost_process import MESSAGE, explain_lost_process

        rank = int(os.environ["RANK"])
        dist.init_process_group("gloo", init_method="file://" + sys.argv[1], rank=rank, world_size=2)
        dist.barrier()
        if rank == 1:
            os._exit(1)
        try:
            for _ in range(3):
                dist.all_reduce(torch.ones(1))
        except RuntimeError as error:
            print(explain_lost_process(error) == MESSAGE, error)
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "store")], cwd=ROOT, text=True,
            stdout=subprocess.PIPE, env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2"},
        )
        for rank in range(2)
    ]  # fmt: skip
    said = processes[0].communicate(timeout=120)[0]
    processes[1].communicate(timeout=120)
    assert said.startswith("True "), f"torch has other words for a lost connection than LOST_CONNECTION: {said}"


def test_lightning_restores_a_checkpoint_by_two_methods(train, tmp_path):
    """Of its connector, in this order, before the training begins."""
    path = tmp_path / "whole.ckpt"
    train(Line()).save_checkpoint(path)
    called = []

    class Watching(pl.Callback):
        def on_train_start(self, trainer, pl_module):
            called.append("on_train_start")

    trainer = pl.Trainer(
        accelerator="cpu", max_steps=5, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=Watching(),
    )  # fmt: skip
    check_restored_checkpoint(trainer)
    connector = type(trainer._checkpoint_connector)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_restore_modules_and_callbacks", "restore_training_state"):
            original = getattr(connector, name)

            def note(self, *args, name=name, original=original):
                called.append(name)
                original(self, *args)

            patch.setattr(connector, name, note)
        trainer.fit(Line(), ckpt_path=path)
    assert called == ["_restore_modules_and_callbacks", "restore_training_state", "on_train_start"]
    assert trainer.global_step == 5


@pytest.mark.parametrize(("name", "value"), [("loops", {"fit_loop": {}}), ("optimizer_states", []), ("state_dict", {})])
def test_what_does_not_fit_names_the_file(train, tmp_path, name, value):
    path = tmp_path / "broken.ckpt"
    train(Line()).save_checkpoint(path)
    torch.save(torch.load(path) | {name: value}, path)
    trainer = pl.Trainer(accelerator="cpu", max_steps=5, logger=False, enable_checkpointing=False)
    check_restored_checkpoint(trainer)
    with pytest.raises(UserError, match=r"broken\.ckpt is damaged or of another network"):
        trainer.fit(Line(), ckpt_path=path)
    assert trainer.global_step == 0 or name == "optimizer_states"
