"""What a user writes for an optimizer and a schedule, and what is trained then.

All that ``jsonargparse_internals.py`` changes is seen here: without it, the tests of classes fail.
"""

import json

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.cli import LightningArgumentParser

from grokking_pl.training import GroupOptions, Lion, Schedule
from tests.conftest import ROOT

CONFIG = ["--config", str(ROOT / "configs/toy_addition.yaml")]
SMALL = [
    *CONFIG, "--trainer.max_steps=12", "--trainer.enable_progress_bar=false", "--trainer.logger=false",
    "--model.architecture.width=8",
]  # fmt: skip


@pytest.fixture(scope="module")
def parse():
    """The module of some options, and the settings that are recorded of it."""
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_argument("--seed_everything", type=int)
    parser.add_argument("--trainer", type=dict)
    parser.add_lightning_class_args(pl.LightningModule, "model", subclass_mode=True)
    parser.add_lightning_class_args(pl.LightningDataModule, "data", subclass_mode=True)

    def run(*options):
        config = parser.parse_args(["--config", str(ROOT / "configs/toy_addition.yaml"), *options])
        written = json.loads(parser.dump(config, format="json", skip_none=False))
        # What was recorded is read as what was given.
        again = parser.parse_object(written)
        assert json.loads(parser.dump(again, format="json", skip_none=False)) == written
        return parser.instantiate(config).model, written["model"]["init_args"]

    return run


def optimizer_of(factory):
    return factory([torch.nn.Parameter(torch.zeros(2, 2))])


SGD = json.dumps({"class_path": "SGD", "init_args": {"lr": 0.5, "momentum": 0.25}})


@pytest.mark.parametrize(
    ("options", "kind", "values"),
    [
        (["SGD"], torch.optim.SGD, {"lr": 1e-3, "momentum": 0, "weight_decay": 0}),
        (["torch.optim.SGD", ".lr=0.5"], torch.optim.SGD, {"lr": 0.5}),
        (["SGD", ".momentum=0.5", ".lr=0.1"], torch.optim.SGD, {"lr": 0.1, "momentum": 0.5}),
        (["SGD", ".init_args.momentum=0.5"], torch.optim.SGD, {"momentum": 0.5}),
        ([SGD], torch.optim.SGD, {"lr": 0.5, "momentum": 0.25}),
        ([SGD, ".lr=0.125"], torch.optim.SGD, {"lr": 0.125, "momentum": 0.25}),
        ([SGD, "=AdamW", ".weight_decay=2"], torch.optim.AdamW, {"betas": (0.9, 0.999), "weight_decay": 2}),
        (["Lion"], Lion, {"lr": 1e-4, "betas": (0.9, 0.99)}),
        (["Muon"], torch.optim.Muon, {"lr": 1e-3, "weight_decay": 0.1, "eps": 1e-7}),
    ],
)
def test_a_class_is_taken_with_its_own_defaults(parse, options, kind, values):
    """Nothing of AdamW's options, which the configuration has, is left in those of another class."""
    first, *rest = options
    module, written = parse(f"--model.decoder={first}", *(f"--model.decoder{option}" for option in rest))
    optimizer = optimizer_of(module.decoder_options)
    assert type(optimizer) is kind
    assert {name: optimizer.param_groups[0][name] for name in values} == values
    assert written["decoder"]["class_path"].endswith(kind.__name__)
    assert isinstance(module.embeddings_options, GroupOptions)


@pytest.mark.parametrize("before", [[], [f"={SGD}"], ["=SGD", ".momentum=0.5"]])
def test_options_alone_are_those_of_adamw(parse, before):
    back = ["=GroupOptions"] if before else []
    module, written = parse(*(f"--model.decoder{option}" for option in (*before, *back, ".lr=0.5", ".eps=0.125")))
    assert isinstance(module.decoder_options, GroupOptions)
    assert (module.decoder_options.lr, module.decoder_options.eps) == (0.5, 0.125)
    assert set(written["decoder"]) == {"lr", "weight_decay", "decoupled", "betas", "eps"}


@pytest.mark.parametrize("name", ["schedule", "embeddings_schedule", "decoder_schedule"])
def test_schedules(parse, name):
    module, _ = parse(f"--model.{name}.warmup_steps=3", f"--model.{name}.decay=cosine")
    chosen = Schedule(3, "cosine")
    wanted = {"embeddings": chosen, "decoder": chosen}
    assert module.schedules == wanted if name == "schedule" else {name.split("_")[0]: chosen}.items() <= wanted.items()
    module, written = parse(
        f"--model.{name}.warmup_steps=3", f"--model.{name}=LinearLR", f"--model.{name}.total_iters=7"
    )
    group = "decoder" if name == "schedule" else name.split("_")[0]
    scheduler = module.schedules[group](torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))]))
    assert type(scheduler) is torch.optim.lr_scheduler.LinearLR
    assert scheduler.total_iters == 7
    assert written[name]["class_path"] == "torch.optim.lr_scheduler.LinearLR"


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--model.decoder=SGD", "--model.decoder.momentun=0.9"], "did you mean --model.decoder.momentum?"),
        (["--model.decoder=SDG"], "there is no class SDG; expected options of AdamW or class of Optimizer"),
        (["--model.decoder.weight_deccay=1"], "did you mean --model.decoder.weight_decay?"),
        (["--model.decoder=SGD", "--model.decoder.lr=-1"], "SGD cannot be made (Invalid learning rate: -1.0)"),
        (["--model.decoder=SGD", "--model.decoder.nesterov=true"], "Nesterov momentum requires a momentum"),
        (["--model.decoder=Lion", "--model.decoder.betas=[0.9,1.0]"], "betas are (0.9, 1.0)"),
        (["--model.decoder=LBFGS"], "LBFGS evaluates the loss itself"),
        (["--model.decoder=SparseAdam"], "SparseAdam is for sparse gradients"),
        (["--model.decoder=torch.nn.Linear"], "decoder is torch.nn.Linear; expected options of AdamW or class of"),
        (["--model.schedule.warmup_steps=-1"], "warmup_steps is -1"),
        (["--model.schedule.decay=cosin"], "decay is cosin; expected 'none', 'linear' or 'cosine'"),
        (["--model.schedule.final=-0.5"], "final is -0.5"),
        (["--model.schedule.final=0.5"], "final is 0.5, but its decay is none: set decay to linear or cosine"),
        (["--model.schedule.decay_steps=9"], "decay_steps is 9, but its decay is none"),
        (["--model.schedule=CosineAnnealingLR"], "T_max"),
        (["--model.schedule=torch.optim.lr_scheduler.ReduceLROnPlateau"], "follows a metric"),
        (["--model.decoder_schedule=ReduceLROnPlateau"], "follows a metric"),
        (["--model.schedule.decay=linear", "--trainer.max_steps=-1", "--trainer.max_time=00:00:00:01"], "decay_steps"),
        (["--optimizer=SGD"], "--model.decoder=SGD"),
        (["--optimizer.lr=1"], "--model.decoder=SGD"),
        (["--lr_scheduler=LinearLR"], "--model.schedule=CosineAnnealingLR"),
    ],
)
def test_wrong_options_get_one_line(grok, tmp_path, options, wanted):
    status, _, err = grok("fit", *SMALL, "--run_dir", tmp_path / "run", *options)
    assert status == 2, err
    (line,) = [line for line in err.splitlines() if not line.startswith("run folder")]
    assert wanted in line


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--model.schedule.warmup_steps=30"], "the schedule takes 30 steps, but the run ends after 12"),
        (["--model.schedule=OneCycleLR", "--model.schedule.max_lr=0.1", "--model.schedule.total_steps=7"],
         "the schedule OneCycleLR takes 7 steps, and the run continues to 12"),
        (["--model.schedule.warmup_steps=5", "--model.schedule.decay=cosine"], None),
        (["--model.schedule=LinearLR", "--model.schedule.total_iters=5"], None),
    ],
)  # fmt: skip
def test_a_schedule_of_another_length_is_noted(grok, tmp_path, options, wanted):
    status, _, err = grok("fit", *SMALL, "--run_dir", tmp_path / "run", *options)
    assert status == 0, err
    assert (wanted in err) if wanted else ("the schedule" not in err)
