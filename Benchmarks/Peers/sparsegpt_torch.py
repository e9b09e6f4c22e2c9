#!/usr/bin/env python3
"""SparseGPT by the book in torch, beside Pith's: weighted errors and processor times.

Our own implementation of Frantar and Alistarh 2023 (arXiv 2301.00774) as its authors' code runs it:
f32, H damped by 0.01 of its mean diagonal, blocks of 128, one threshold a block (at least
int(n·s) + 1 entries go), N:M from updated weights, optional rounding on a grid fitted once per row.

    python sparsegpt_torch.py layer.safetensors         # tensors `weight` (out × in) and `gram`
    python sparsegpt_torch.py --random 1024 1024 -o layer.safetensors
"""
import argparse
import time

import torch
from safetensors.torch import load_file, save_file


def factor(gram, damping=0.01):
    h = gram.float().clone()
    dead = h.diag() == 0
    h[dead, dead] = 1
    h += damping * h.diag().mean() * torch.eye(len(h))
    lower = torch.linalg.cholesky(h)
    return torch.linalg.cholesky(torch.cholesky_inverse(lower), upper=True), dead


def sparsegpt(weight, gram, sparsity=0.5, pattern=None, bits=None, block=128):
    u, dead = factor(gram)
    w = weight.float().clone()
    if bits:
        top = 2**bits - 1
        low, high = w.min(1).values.clamp(max=0), w.max(1).values.clamp(min=0)
        scale = (high - low) / top
        zero = (-low / scale).round()
    w[:, dead] = 0
    count = w.shape[1]
    for first in range(0, count, block):
        last = min(first + block, count)
        part = w[:, first:last].clone()
        done, errors = torch.zeros_like(part), torch.zeros_like(part)
        inner = u[first:last, first:last]
        if pattern:
            gone = torch.zeros_like(part, dtype=torch.bool)
        else:
            scores = part**2 / inner.diag() ** 2
            threshold = scores.flatten().sort().values[int(scores.numel() * sparsity)]
            gone = scores <= threshold
        for i in range(last - first):
            if pattern and i % pattern[1] == 0:
                scores = part[:, i : i + pattern[1]] ** 2 / inner.diag()[i : i + pattern[1]] ** 2
                drop = scores.topk(pattern[1] - pattern[0], dim=1, largest=False).indices
                gone.scatter_(1, i + drop, True)
            column, pivot = part[:, i], inner[i, i]
            q = column.clone()
            q[gone[:, i]] = 0
            if bits:
                q = scale * ((q / scale).round().add(zero).clamp(0, top) - zero)
            done[:, i] = q
            error = (column - q) / pivot
            part[:, i:] -= error[:, None] @ inner[i, i:][None]
            errors[:, i] = error
        w[:, first:last] = done
        w[:, last:] -= errors @ u[first:last, last:]
    return w


def loss(result, weight, gram):
    d, w, h = (result - weight).double(), weight.double(), gram.double()
    return (((d @ h) * d).sum() / ((w @ h) * w).sum()).item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file", nargs="?")
    parser.add_argument("--random", type=int, nargs=2)
    parser.add_argument("-o", "--output")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.random:
        rows, count = options.random
        torch.manual_seed(0)
        mix = torch.eye(count) + 0.3 * torch.randn(count, count) / count**0.5 * 4
        x = torch.randn(2 * count, count) @ mix * torch.exp(0.5 * torch.randn(count))
        tensors = {"weight": torch.randn(rows, count), "gram": x.T @ x}
        save_file(tensors, options.output)
        return
    tensors = load_file(options.file)
    weight, gram = tensors["weight"], tensors["gram"]
    for name, arguments in {
        "50 %": {},
        "2:4": {"pattern": (2, 4)},
        "4:8": {"pattern": (4, 8)},
        "2:4 + 4 bits": {"pattern": (2, 4), "bits": 4},
    }.items():
        start = time.process_time()
        result = sparsegpt(weight, gram, **arguments)
        seconds = time.process_time() - start
        print(f"{name:14} error {loss(result, weight, gram):.6f}  {seconds:.3f} s")


if __name__ == "__main__":
    main()
