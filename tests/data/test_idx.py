"""The IDX format: what is written by hand is read back, and anything else is an error that says what is wrong."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from grokking_pl.data.idx import read_idx
from grokking_pl.errors import UserError


def encode(array: np.ndarray) -> bytes:
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape) + array.tobytes()


@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=6)))
def test_reads_what_was_written(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("idx") / "file.gz"
    path.write_bytes(gzip.compress(encode(array)))
    assert np.array_equal(read_idx(path).numpy(), array)


CONTENT = encode(np.arange(12, dtype=np.uint8).reshape(3, 4))


@given(st.integers(0, len(CONTENT) - 1))
def test_content_cut_short_anywhere(tmp_path_factory, length):
    path = tmp_path_factory.mktemp("idx") / "cut.gz"
    path.write_bytes(gzip.compress(CONTENT[:length]))
    with pytest.raises(UserError, match=r"cut\.gz is (corrupt|not an IDX file)"):
        read_idx(path)


@given(st.integers(0, len(gzip.compress(CONTENT, mtime=0)) - 1))
def test_file_cut_short_anywhere(tmp_path_factory, length):
    path = tmp_path_factory.mktemp("idx") / "cut.gz"
    path.write_bytes(gzip.compress(CONTENT, mtime=0)[:length])
    with pytest.raises(UserError, match=r"cut\.gz is"):
        read_idx(path)


@pytest.mark.parametrize("content", [CONTENT + b"\0", b"\0\0\x0d" + CONTENT[3:], b"\1" + CONTENT[1:]])
def test_other_content(tmp_path, content):
    path = tmp_path / "other.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(UserError, match=r"other\.gz is"):
        read_idx(path)


def test_negative_dimension(tmp_path):
    path = tmp_path / "negative.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\2" + struct.pack(">2i", -3, -4) + bytes(12)))
    with pytest.raises(UserError, match=r"negative\.gz is corrupt"):
        read_idx(path)


def test_no_file(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_idx(tmp_path / "none.gz")


def test_folder(tmp_path):
    with pytest.raises(UserError, match=r"Is a directory"):
        read_idx(tmp_path)
