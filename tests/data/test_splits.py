"""Splits by recipe, against the draws of other programs written plainly, and splits that are given."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grokking_pl.data import AlgorithmicDataModule
from grokking_pl.data.given_split import given_split
from grokking_pl.data.splits import RECIPES, Request
from grokking_pl.errors import UserError
from grokking_pl.tasks import addition, modular_addition


def prepared(**options):
    data = AlgorithmicDataModule(**options)
    data.setup()
    return data


def check_partition(data, train):
    """The training samples in this order; all others after them, ascending."""
    table = data.table
    order = [*train, *(sample for sample in range(len(table)) if sample not in set(train))]
    assert data.train_indices.tolist() == list(train)
    assert data.num_train == len(train)
    assert data.inputs.tolist() == [[int(table.a[k]), int(table.b[k])] for k in order]
    labels = table.c[order]
    assert torch.equal(data.targets, labels if data.class_targets is None else data.class_targets[labels])


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("fraction", [0.7, 0.8])
@pytest.mark.parametrize("seed", range(4))
def test_split_of_the_published_transformer_and_of_figure_2(ordered, fraction, seed):
    data = prepared(
        task=modular_addition(11, unordered=not ordered), train_fraction=fraction, targets="class", seed=seed,
        split="published_pairs",
    )  # fmt: skip
    pairs = 121 if ordered else 66
    np.random.seed(seed)
    train = np.random.choice(pairs, int(pairs * fraction), replace=False)
    check_partition(data, sorted({*train.tolist(), 0, 1}))


def test_published_validation_sets_of_figure_2():
    """Their sizes follow from the published accuracies: one of 18 pairs, one of 13."""
    for task, fraction, size in ((addition(11), 0.7, 18), (modular_addition(11, unordered=True), 0.8, 13)):
        data = prepared(task=task, train_fraction=fraction, targets="one_hot", split="published_pairs", seed=0)
        assert len(data.val_set[0]) == size


def test_split_of_a_notebook():
    """Nanda et al.: Python's generator, and the fraction rounded down."""
    data = prepared(
        task=modular_addition(113), train_fraction=0.3, targets="class", classes=114, split="python_shuffle", seed=0
    )
    pairs = [(i, j) for i in range(113) for j in range(113)]
    random.seed(0)
    random.shuffle(pairs)
    count = int(0.3 * len(pairs))
    assert data.num_train == count == 3830
    assert data.train_set[0].tolist() == [list(pair) for pair in pairs[:count]]
    assert {tuple(pair) for pair in data.val_set[0].tolist()} == set(pairs[count:])
    assert data.sizes.outputs == 114


def test_choice_is_the_beginning_of_a_permutation():
    data = prepared(task=addition(10), train_fraction=0.75, split="numpy_choice", seed=5)
    np.random.seed(5)
    check_partition(data, np.random.permutation(55)[: int(0.75 * 55)].tolist())


def test_draws_of_the_script_of_100000_steps():
    data = prepared(task=addition(10), train_count=45, split="published_long", seed=58)
    np.random.seed(58)
    np.random.normal(0, 1, size=(10, 30))
    vectors = np.random.normal(0, 1, size=(19, 30))
    train = np.random.choice(55, 45, replace=False)
    assert torch.equal(data.class_targets, torch.tensor(vectors, dtype=torch.float32))
    check_partition(data, train.tolist())


def test_default_draws_are_those_of_torch():
    data = prepared(task=addition(10), train_count=30, target_dim=7, seed=3)
    generator = torch.Generator().manual_seed(3)
    vectors = torch.randn(19, 7, generator=generator)
    assert torch.equal(data.class_targets, vectors)
    check_partition(data, torch.randperm(55, generator=generator)[:30].tolist())


@given(
    recipe=st.sampled_from(sorted(RECIPES)),
    seed=st.integers(0, 2**32 - 1),
    samples=st.integers(3, 60),
    share=st.floats(0, 1),
)
def test_every_recipe_draws_distinct_samples_and_depends_on_the_seed_alone(recipe, seed, samples, share):
    count = 1 + int(share * (samples - 2))
    request = Request(seed, samples, count, symbols=5, results=4, dimension=3)
    draws, again = (RECIPES[recipe](request) for _ in range(2))
    train = draws.train.tolist()
    assert len(set(train)) == len(train)
    assert set(train) <= set(range(samples))
    assert count <= len(train) <= count + (2 if recipe == "published_pairs" else 0)
    assert draws.vectors.shape == (4, 3)
    assert torch.equal(draws.train, again.train)
    assert torch.equal(draws.vectors, again.vectors)


def test_one_hot_targets():
    data = prepared(task=addition(5), train_count=9, targets="one_hot", classes=11)
    assert data.sizes.outputs == 11
    assert torch.equal(data.targets, torch.nn.functional.one_hot(data.inputs.sum(1), 11).float())
    assert torch.equal(data.class_targets, torch.eye(11))


@given(data=st.data(), samples=st.integers(3, 40))
def test_given_numbers_and_masks(tmp_path_factory, data, samples):
    """The same samples as numbers, as a file of numbers, and as a mask, in text and as an array."""
    train = data.draw(st.permutations(range(samples)).flatmap(lambda order: st.sampled_from([order[: samples // 2]])))
    folder = tmp_path_factory.getbasetemp()
    assert given_split(train, samples).tolist() == train
    mask = np.isin(np.arange(samples), train)
    (folder / "numbers.csv").write_text(data.draw(st.sampled_from([",", "\n", ", "])).join(map(str, train)))
    np.save(folder / "numbers.npy", np.array(train))
    for name in ("numbers.csv", "numbers.npy"):
        assert given_split(folder / name, samples).tolist() == train
    (folder / "mask.txt").write_text("\n".join(map(str, mask)))
    np.savetxt(folder / "mask.csv", mask.astype(int), delimiter=",")
    np.save(folder / "mask.npy", mask)
    for name in ("mask.txt", "mask.csv", "mask.npy"):
        assert given_split(str(folder / name), samples).tolist() == sorted(train)


def test_given_split_of_a_table(tmp_path):
    """A mask laid out as the square of all ordered pairs."""
    mask = np.zeros((5, 5), dtype=int)
    mask[1, 2] = mask[4, 0] = 1
    np.save(tmp_path / "mask.npy", mask)
    data = prepared(task=modular_addition(5), targets="class", split=str(tmp_path / "mask.npy"))
    assert data.train_set[0].tolist() == [[1, 2], [4, 0]]
    data = prepared(task=modular_addition(5), targets="vectors", split=[20, 7], seed=2)
    check_partition(data, [20, 7])
    assert torch.equal(data.class_targets, prepared(task=modular_addition(5), train_count=3, seed=2).class_targets)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"split": [3, 55]}, "lists sample 55; the table has samples 0 to 54"),
        ({"split": [3, -1]}, "lists sample -1"),
        ({"split": [3, 4, 3]}, "lists sample 3 more than once"),
        ({"split": []}, "lists no training sample"),
        ({"split": [0.5]}, "must hold whole numbers only"),
        ({"split": list(range(55))}, "0 for validation"),
        ({"split": "torch_ranperm"}, "neither a file nor one of the recipes torch_randperm, numpy_choice"),
        ({"split": [3], "train_fraction": 0.5}, "but also train_fraction 0.5 and train_count None; set both to null"),
        ({"split": [3], "train_count": 1}, "train_count 1; set"),
        ({"split": "published_pairs"}, "give one and"),
        ({"split": "published_pairs", "train_fraction": 0.01}, "leaves 0 for training"),
        ({"train_count": 56}, "^train_count is 56, but there are only 55 samples$"),
        ({"train_count": 55}, "^train_count is 55, which leaves none of the 55 samples for validation$"),
        ({"train_count": -1}, "^train_count is -1; it must be at least 1$"),
        ({"train_count": 30, "classes": 18, "targets": "class"}, "at least the 19 results"),
        ({"train_count": 30, "classes": 20}, "with targets class or one_hot"),
    ],
)
def test_mistakes(options, wanted):
    with pytest.raises(UserError, match=wanted) as caught:
        AlgorithmicDataModule(task=addition(10), **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("short.txt", "1 0 0 1", "is a mask of 4 samples; the table has 55"),
        ("long.csv", "3,4,99", "lists sample 99"),
        ("again.csv", "3\n4\n3\n", "lists sample 3 more than once"),
        ("empty.txt", "", "lists no training sample"),
        ("none.txt", "0 " * 55, "leaves 0 of the 55"),
        ("words.csv", "sample\n3\n", "cannot be read .could not convert string to float: 'sample'"),
        ("halves.csv", "0.5 1.5", "must hold whole numbers only"),
        ("infinite.csv", "inf 3 4", "must hold whole numbers only"),
        ("empty.npy", "", "cannot be read"),
        ("text.npy", "3 4", "cannot be read"),
    ],
)
def test_files_that_do_not_fit(tmp_path, name, content, wanted):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=wanted) as caught:
        AlgorithmicDataModule(task=addition(10), split=str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_arrays_that_do_not_fit(tmp_path):
    for array, wanted in (
        (np.ones(54, bool), "is a mask of 54 samples"),
        (np.array([[3, 4], [5, 6]]), r"has shape \(2, 2\)"),
        (np.array(["a"]), "must hold whole numbers only"),
    ):
        np.save(tmp_path / "split.npy", array)
        with pytest.raises(UserError, match=wanted):
            given_split(tmp_path / "split.npy", 55)
    with pytest.raises(UserError, match="cannot read"):
        given_split(tmp_path, 55)


def test_validation_set_that_the_added_samples_use_up():
    data = AlgorithmicDataModule(task=addition(2), train_count=2, targets="class", split="published_pairs", seed=1)
    assert 2 in np.random.RandomState(1).choice(3, 2, replace=False)
    with pytest.raises(UserError, match="leaves none of the 3 samples for validation"):
        data.setup()


def test_from_the_command_line(grok, tmp_path):
    """A recipe, numbers and a file as words of a command; what is wrong is answered on one line."""
    base = ("fit", "--config=configs/toy_classification.yaml", "--trainer.max_steps=1", "--data.train_count=null",
            "--trainer.enable_progress_bar=false", "--trainer.logger=false")  # fmt: skip
    (tmp_path / "train.csv").write_text("3, 4, 5, 7")
    for number, split in enumerate(("[3, 4, 5, 7]", tmp_path / "train.csv")):
        status, _, err = grok(*base, f"--data.split={split}", "--run_dir", tmp_path / str(number))
        assert status == 0, err
    status, _, err = grok(*base, "--data.split=numpy_choise", "--run_dir", tmp_path / "x")
    assert status != 0
    assert err.strip().splitlines()[-1].startswith("grok: error: split is 'numpy_choise', which is neither"), err
