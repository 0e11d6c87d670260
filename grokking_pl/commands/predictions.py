"""What ``grok predict`` writes: one row per sample."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.runs.files import write_table, writing


def write_predictions(batches: Any, path: Path) -> None:
    """Write the number of each sample and what the module's ``predict_step`` returned for it.

    A tensor whose first dimension is the samples becomes the column ``prediction``; a dictionary of such tensors, a
    column per name.

    Raises:
        UserError: ``predict_step`` returns something else, or the file cannot be written.
    """
    rows = list(_rows(batches or []))
    columns = list(rows[0]) if rows else ["sample", "prediction"]
    with writing(path, "make room, or choose another folder with --run_dir"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(path, columns, rows)
    print(f"{len(rows)} predictions in {path}")


def _rows(batches: Any) -> Iterator[dict[str, Any]]:
    number = 0
    for batch in batches:
        named = batch if isinstance(batch, Mapping) else {"prediction": batch}
        if not all(isinstance(value, Tensor) and value.ndim for value in named.values()):
            kinds = ", ".join(sorted({type(value).__name__ for value in named.values()}))
            raise UserError(
                f"predict_step returns {kinds}: return a tensor whose first dimension is the samples, or a dictionary "
                "of such tensors"
            )
        values = {name: value.tolist() for name, value in named.items()}
        for row in zip(*values.values(), strict=True):
            yield {"sample": number, **dict(zip(values, row, strict=True))}
            number += 1
