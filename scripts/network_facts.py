"""How an external network adds modulo p: key frequencies, neurons, restricted and excluded loss.

    python scripts/network_facts.py WEIGHTS                       .safetensors or .npz, names as in TransformerLens
                                                                  or Nanda et al. (2023)
    python scripts/network_facts.py WEIGHTS --train_fraction 0    trained on all pairs

The training pairs are those of the notebook of Nanda et al.: all pairs, shuffled by Python's generator with seed 0.
"""

import argparse
import random
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool
from tables import print_table
from torch import Tensor
from torch.nn import functional as F

from grokking_pl.errors import UserError
from grokking_pl.metrics import excluded_loss, key_frequencies, neuron_frequencies, restricted_loss
from grokking_pl.models import Transformer, from_transformer_lens, named_activations
from grokking_pl.runs import read_weights


def facts(network: Transformer, train: Bool[Tensor, "p p"]) -> pd.DataFrame:
    """One row per fact."""
    found = named_activations(network)
    logits = found["outputs"].double()
    p = len(logits)
    results = (torch.arange(p)[:, None] + torch.arange(p)) % p
    keys = [int(k) + 1 for k in key_frequencies(network.embeddings.detach()).nonzero()[:, 0]]
    neurons = neuron_frequencies(found[f"blocks.{len(network.blocks) - 1}.activation"][:, :, 0])
    numbers = torch.bincount(neurons.frequency)
    named = [f"{int(numbers[k])} at {int(k)}" for k in numbers.argsort(descending=True) if k and numbers[k]]
    rows: dict[str, object] = {
        "key frequencies": ", ".join(map(str, keys)),
        "neurons by frequency": ", ".join(named),
        "accuracy over all pairs": float((logits.argmax(2) == results).double().mean()),
        "sum of squared weights": float(
            sum(weight.double().square().sum() for weight in network.state_dict().values())
        ),
        "loss of the training pairs": float(F.cross_entropy(logits[train], results[train])),
    }
    if not train.all():
        rows["loss of the other pairs"] = float(F.cross_entropy(logits[~train], results[~train]))
    if keys:
        rows["restricted loss, all pairs"] = float(restricted_loss(logits, keys))
        rows["excluded loss, training pairs"] = float(excluded_loss(logits, keys, train))
    return pd.DataFrame({"fact": rows.keys(), "value": rows.values()})


def training_pairs(p: int, fraction: float) -> Bool[Tensor, "p p"]:
    """The training pairs of the notebook; all pairs for fraction 0."""
    pairs = [(a, b) for a in range(p) for b in range(p)]
    random.Random(0).shuffle(pairs)
    train = torch.zeros(p, p, dtype=torch.bool)
    for a, b in pairs[: int(fraction * p * p)] if fraction else pairs:
        train[a, b] = True
    return train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--train_fraction", type=float, default=0.3)
    options = parser.parse_args()
    try:
        if options.weights.suffix == ".npz":
            with np.load(options.weights, allow_pickle=False) as file:
                state = {name: file[name] for name in file.files}
        else:
            state = read_weights(options.weights)
        network = from_transformer_lens(state)
    except UserError as error:
        raise SystemExit(str(error)) from None
    except (OSError, EOFError, ValueError, zipfile.BadZipFile):
        raise SystemExit(f"{options.weights} is no file of arrays") from None
    p = len(network.embeddings)
    print_table(f"{options.weights.name}: p = {p}", facts(network, training_pairs(p, options.train_fraction)))


if __name__ == "__main__":
    main()
