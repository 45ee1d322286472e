"""Makes `tests/models/building/recorded/*.pth`: small state dicts as PyTorch itself saves them.

    pip install torch
    python tools/record_state_dicts.py

A convolution and a batch normalisation with random weights (seed 0), a transposed tensor, one of
half precision and one of double, in the format before PyTorch 1.6 and in the one since. What they
hold is written beside them as `state_dict.npz`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

FOLDER = Path(__file__).parents[1] / "tests" / "models" / "building" / "recorded"


def main() -> None:
    """Write the files."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    weights = network.state_dict()
    weights["transposed"] = torch.randn(4, 5).t()[1:]
    weights["half"] = torch.randn(3).half()
    weights["double"] = torch.randn(2, 2, dtype=torch.float64)
    FOLDER.mkdir(exist_ok=True)
    torch.save(weights, FOLDER / "archive.pth")
    torch.save(weights, FOLDER / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(network, FOLDER / "network.pth")  # not only tensors: has to be refused
    np.savez(FOLDER / "state_dict.npz", **{k: v.numpy() for k, v in weights.items()})


if __name__ == "__main__":
    main()
