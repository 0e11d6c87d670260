"""Configurations that come with the package: found by name wherever one works, listed, shown and copied."""

import pytest
import yaml

from grokking_pl.commands.bundled import KINDS, bundled, find
from grokking_pl.errors import UserError
from tests.conftest import ROOT


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(grok, *words):
    status, out, err = grok(*words, "--print_config")
    assert status == 0, err
    return yaml.safe_load(out)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("fit", "mnist_grok"),
        ("fit", "mnist_grok.yaml"),
        ("fit", "configs/mnist_grok.yaml"),
        ("fit", "figure2a"),
        ("diagram", "figures/figure6a_small"),
        ("theory", "theory_addition"),
    ],
)
def test_by_name_in_an_empty_folder(grok, empty, command, name):
    path = find(name).path
    assert path.is_relative_to(ROOT)
    by_name = settings(grok, command, "--config", name)
    assert by_name == settings(grok, command, f"--config={path}")


def test_the_base_of_a_bundled_diagram(grok, empty):
    small = ("--steps=2", "--workers=1", "--compile=false", "--device=cpu", "--axes={model.decoder.lr: [0.1, 0.2]}")
    status, _, err = grok("diagram", "--config", "figure6a_small", *small)
    assert status == 0, err
    assert (empty / "runs/diagrams/figure6a_small/phases.png").exists()
    (empty / "own.yaml").write_text("base: toy_addition\naxes: {model.decoder.lr: [0.1, 0.2]}\n")
    assert grok("diagram", "--config", "own.yaml", "--steps=2", *small[1:4])[0] == 0
    (empty / "sub").mkdir()
    (empty / "sub/grid.yaml").write_text("base: absent.yaml\naxes: {model.decoder.lr: [0.1, 0.2]}\n")
    grok("configs", "copy", "toy_addition", "sub/base.yaml")  # which stands beside the diagram, and not here
    assert grok("diagram", "--config", "sub/grid.yaml", "--base=base.yaml", "--steps=2", *small[1:4])[0] == 0
    (empty / "own.yaml").write_text("base: toy_adition\naxes: {model.decoder.lr: [0.1, 0.2]}\n")
    assert "no configuration toy_adition: did you mean toy_addition?" in grok("diagram", "--config", "own.yaml")[2]


def test_a_sweep_by_name(grok, empty):
    status, out, err = grok("sweep", "--jobs", "2", "toy_grid", "--check")
    assert (status, "is valid" in out) == (0, True), err


def test_a_file_that_exists_comes_first(grok, empty):
    (empty / "mnist_grok.yaml").write_text((ROOT / "configs/mnist_grok.yaml").read_text() + "    seed: 7\n")
    for name in ("mnist_grok.yaml", "mnist_grok"):
        assert settings(grok, "fit", "--config", name)["data"]["init_args"]["seed"] == 7
    (empty / "toy_addition").mkdir()  # a folder is none
    assert settings(grok, "fit", "--config", "toy_addition")["data"]["class_path"].endswith("AlgorithmicDataModule")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("fit --config mnist_gork", "there is no configuration mnist_gork: did you mean mnist_grok?"),
        ("diagram --config figure6a_smal", "did you mean figures/figure6a_small?"),
        ("fit --config qqqq", "there is no configuration qqqq: 'grok configs' lists those that come with grokking_pl"),
        ("sweep nope.yaml", "there is no configuration nope.yaml: 'grok configs'"),
        ("fit --config takn.yaml", "did you mean taken.yaml?"),
        ("fit --config figures/figure6a", "is a configuration for grok diagram: run 'grok diagram --config"),
        ("diagram --config toy_addition", "is a configuration for grok fit"),
        ("fit --config sweeps/toy_grid", "is a configuration for grok sweep: run 'grok sweep /"),
        ("configs show", "give a name: grok configs show NAME"),
        ("configs show qqqq", "there is no configuration qqqq"),
        ("configs show mnist_grok a.yaml", "show takes one name"),
        ("configs shwo mnist_grok", "invalid choice: 'shwo'"),
        ("configs copy mnist_grok nowhere.yaml/a.yaml", "nowhere.yaml"),
        ("configs copy mnist_grok taken.yaml", "taken.yaml exists: give another file"),
    ],
)
def test_errors(grok, empty, words, wanted):
    (empty / "taken.yaml").write_text("a: 1\n")
    (empty / "nowhere.yaml").write_text("a: 1\n")
    status, out, err = grok(*words.split())
    assert (status, out, len(err.splitlines())) == (2, "", 1), err
    assert wanted in err


def test_a_name_that_exists_twice(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.yaml").write_text("# The same.\nmodel: A\n")
    with pytest.raises(UserError, match=r"^2 configurations are called same: say which, one/same or two/same$"):
        find("same", tmp_path)
    assert find("two/same", tmp_path).path == tmp_path / "two/same.yaml"


def test_list(grok, empty):
    status, out, _ = grok("configs")
    assert status == 0
    sections = {block.splitlines()[0]: block for block in out.split("\n\n")}
    for config in bundled():
        assert f"  {config.name} " in sections[KINDS[config.kind]]
        assert config.about in out
    assert {config.kind for config in bundled()} == {*KINDS}
    assert "theory_addition" in sections["for grok theory"]
    assert "loggers/wandb" in sections[KINDS["part"]]


def test_show_and_copy(grok, empty):
    text = (ROOT / "configs/mnist_grok.yaml").read_text()
    assert grok("configs", "show", "mnist_grok") == (0, text, "")
    status, out, _ = grok("configs", "copy", "mnist_grok")
    assert (status, (empty / "mnist_grok.yaml").read_text()) == (0, text)
    assert "grok fit --config mnist_grok.yaml" in out
    assert grok("configs", "copy", "mnist_grok")[0] == 2


@pytest.mark.parametrize("name", [config.name for config in bundled() if config.kind == "diagram"])
def test_a_copied_diagram_finds_its_base(grok, empty, name):
    assert grok("configs", "copy", name, "sub/own.yaml")[0] == 0
    base = yaml.safe_load((empty / "sub/own.yaml").read_text())["base"]
    original = find(name).path
    assert find(base).path.samefile(original.parent / yaml.safe_load(original.read_text())["base"])


def test_no_environment_variable_is_read(grok, empty, monkeypatch):
    for prefix in ("GROK", "PL"):
        monkeypatch.setenv(f"{prefix}_TRAINER__MAX_STEPS", "3")
        monkeypatch.setenv(f"{prefix}_FIT__TRAINER__MAX_STEPS", "3")
    assert settings(grok, "fit", "--config", "mnist_grok")["trainer"]["max_steps"] == 22_000
    assert "environment variable" in grok("help")[1]
