"""Drawn layers and their statistics, for errors at widths that small models do not have.

Inputs with 32 strong directions and channels of very different loudness: X = (N/2 + A·B) ⊙ (1 + c²)
with N rows × width, A rows × 32, B 32 × width and c one number a channel, all normal, and twice as
many rows as inputs; weights are normal.

Usage: drawn_layers.py WEIGHTS STATISTICS [ROWSxWIDTH...]
         writes a safetensors file and a file as of `pith calibrate`; without shapes 512x512,
         256x1024, 512x2048 and 1024x4096, the layers of docs/quality.md
"""

import sys

import h5py
import numpy as np
import torch
from safetensors.torch import save_file


def layer(rows, width, mixed=False):
    weight = torch.randn(rows, width) * 0.02
    if mixed:
        inputs = torch.randn(2 * width, width)
        inputs += inputs @ torch.randn(width, width) * (1.2 / width**0.5)
        inputs *= torch.exp(0.5 * torch.randn(width))
        return weight, (inputs.T @ inputs).double().numpy()
    inputs = torch.randn(2 * width, width) * 0.5
    inputs += torch.randn(2 * width, 32) @ torch.randn(32, width)
    inputs *= 1 + torch.randn(width) ** 2
    return weight, (inputs.T @ inputs).double().numpy()


def main(weights, statistics, shapes):
    torch.manual_seed(1)
    torch.set_num_threads(1)
    tensors = {}
    with h5py.File(statistics, "w") as file:
        file.attrs["format"] = "pith-statistics"
        file.attrs["version"] = np.int64(1)
        sites = file.create_group("sites")
        for shape in shapes:
            mixed = shape.startswith("mixed:")
            rows, width = map(int, shape.removeprefix("mixed:").split("x"))
            name = f"{'mixed' if mixed else 'layer'}{rows}x{width}"
            tensors[name + ".weight"], gram = layer(rows, width, mixed)
            site = sites.create_group(name)
            site.attrs["rows"] = np.int64(2 * width)
            site.attrs.create("readers", [name], dtype=h5py.string_dtype())
            power = np.diag(gram).copy()
            mean = np.sqrt(power / (2 * width))
            site["sum"] = np.zeros(width)
            site["sum_abs"] = mean * 2 * width * 0.8
            site["sum_sq"] = power
            site["max_abs"] = (mean * 4).astype("f4")
            site["gram"] = gram
    save_file(tensors, weights)


if __name__ == "__main__":
    wanted = sys.argv[3:] or ["512x512", "256x1024", "512x2048", "1024x4096"]
    main(sys.argv[1], sys.argv[2], wanted)
