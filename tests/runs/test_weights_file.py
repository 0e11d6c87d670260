"""Weights as safetensors: the same tensors, read by the format's own library too, and one line for what is wrong."""

import json

import pytest
import torch
from safetensors import safe_open

from grokking_pl.errors import UserError
from grokking_pl.models import Transformer, from_transformer_lens, to_transformer_lens
from grokking_pl.runs import read_weights, write_weights
from grokking_pl.sizes import Sizes

PAIRS = torch.cartesian_prod(torch.arange(5), torch.arange(5))


def network(seed=0):
    torch.manual_seed(seed)
    sizes = Sizes(inputs=2, outputs=6, symbols=5)
    return Transformer(sizes, layers=1, heads=2, width=8, norm="none", readout="last", equals=True)


def test_of_a_network(tmp_path):
    ours, path = network(), tmp_path / "weights.safetensors"
    write_weights(ours, path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    read = read_weights(path)
    assert read.keys() == ours.state_dict().keys()
    assert all(torch.equal(read[name], value) for name, value in ours.state_dict().items())
    other = network(1)
    assert not torch.equal(other(PAIRS), ours(PAIRS))
    other.load_state_dict(read)
    assert torch.equal(other(PAIRS), ours(PAIRS))


def test_file_by_its_own_format(tmp_path):
    """Eight bytes of length, a header of JSON with type, shape and place of each tensor, and the numbers."""
    path = tmp_path / "weights.safetensors"
    whole = torch.arange(6.0).view(2, 3)
    write_weights({"turned": whole.T, "half": whole.bfloat16(), "row": whole[1]}, path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert header["turned"]["dtype"] == "F32"
    assert header["turned"]["shape"] == [3, 2]
    first, last = header["turned"]["data_offsets"]
    numbers = torch.frombuffer(bytearray(content[8 + length :][first:last]), dtype=torch.float32)
    assert numbers.tolist() == [0, 3, 1, 4, 2, 5]
    with safe_open(path, "pt") as file:
        assert torch.equal(file.get_tensor("half"), whole.bfloat16())
        assert torch.equal(file.get_tensor("row"), whole[1])


def test_names_of_transformer_lens(tmp_path):
    ours, path = network(), tmp_path / "lens.safetensors"
    write_weights(to_transformer_lens(ours), str(path))
    assert torch.allclose(from_transformer_lens(read_weights(str(path)))(PAIRS), ours(PAIRS), atol=1e-6)


def test_mistakes(tmp_path):
    path = tmp_path / "weights.safetensors"
    with pytest.raises(UserError, match=r"weights.safetensors does not exist"):
        read_weights(path)
    write_weights({"w": torch.ones(3)}, path)
    whole = path.read_bytes()
    for content in (whole[:-1], b"half", b""):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"weights.safetensors is damaged or no file of safetensors"):
            read_weights(path)
    with pytest.raises(UserError, match="of is str and no tensor"):
        write_weights({"of": "words"}, path)
    with pytest.raises(UserError, match="cannot write"):
        write_weights({"w": torch.ones(3)}, tmp_path / "no" / "weights.safetensors")
