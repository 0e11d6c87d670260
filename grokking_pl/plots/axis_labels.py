"""Labels of axes in words, from the names of options and columns."""

from collections.abc import Mapping, Sequence

from grokking_pl.metrics.crossings import STEPS_COLUMN

SECTIONS = {"model", "data", "trainer", "callbacks", "architecture", "task", "init_args"}
"""Parts of an option's path that say where it is, not what it is."""

WORDS = {
    "lr": "learning rate", "eps": "epsilon", "dim": "dimension", "embeddings": "embedding", "rqi": "RQI",
    "train": "training", "val": "validation", "clip": "clipping", "num": "number of", "init": "initialisation",
    "seed_everything": "seed", "train_count": "training samples", "train_size": "training images",
    "gradient_clip_val": "gradient clipping value",
}  # fmt: skip
"""Words for parts of names, or for whole names."""


def in_words(name: str) -> str:
    """The name of an option or column in words.

    >>> in_words("model.decoder.lr"), in_words("data.train_fraction"), in_words("model.loss"), in_words("val_accuracy")
    ('decoder learning rate', 'training fraction', 'loss', 'validation accuracy')
    """
    *path, last = name.split(".")
    words = [WORDS.get(part) or " ".join(WORDS.get(word, word) for word in part.split("_")) for part in [*path, last]]
    kept = [word for part, word in zip(path, words, strict=False) if part not in SECTIONS]
    return " ".join([*kept, words[-1]])


def axis_labels(axes: Sequence[str], labels: Mapping[str, str] = {}) -> dict[str, str]:
    """The label of each axis: the one given, or else its name in words, unless two axes have the same words.

    >>> axis_labels(["model.decoder.lr", "width"], {"width": "hidden units"})
    {'model.decoder.lr': 'decoder learning rate', 'width': 'hidden units'}
    """
    words = {axis: labels.get(axis) or in_words(axis) for axis in axes}
    return words if len({*words.values()}) == len(words) else {axis: labels.get(axis, axis) for axis in axes}


def paths_in_words(axes: Sequence[str], labels: Mapping[str, str] = {}) -> str:
    """A caption with the option of each axis whose label is not the option itself; may be empty.

    >>> paths_in_words(["model.decoder.lr", "decay"])
    'decoder learning rate: model.decoder.lr'
    """
    return "; ".join(
        f"{label}: {axis}" for axis, label in axis_labels(axes, labels).items() if "." in axis and label != axis
    )


def steps_in_words(column: str) -> str:
    """The name of a column of steps to a threshold in words.

    >>> steps_in_words("steps_to_val"), steps_in_words("steps_to_train_0.6")
    ('steps to validation threshold', 'steps to training accuracy 0.6')
    """
    match = STEPS_COLUMN.fullmatch(column)
    assert match, column
    which, level = match.groups()
    return f"steps to {WORDS[which]} " + (f"accuracy {level}" if level else "threshold")
