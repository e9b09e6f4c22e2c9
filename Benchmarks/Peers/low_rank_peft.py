#!/usr/bin/env python3
"""Peer of the low-rank benchmarks: peft's PiSSA start, and EoRA by the published route.

Reads lines, answers each with "wall processor value":
  pissa FILE ROWS COLUMNS RANK   pissa_init("pissa_niter_4") of peft; value = norm of what is left
  gesdd FILE ROWS COLUMNS        the full decomposition by numpy, which is OpenBLAS's gesdd on one
                                 thread; value = largest singular value
  eora DELTA GRAM ORDER RANK     eigh of the Gram matrix in f64, full SVD in f32; value = squared
                                 weighted error
  optimum DELTA GRAM ORDER RANK  the least squared weighted error there is: all but the RANK largest
                                 eigenvalues of delta * gram * delta^T in f64, added up
Files hold little-endian f32, row-major. One thread.
"""
import os
import sys
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import torch
from peft import LoraConfig, get_peft_model

torch.set_num_threads(1)
torch.manual_seed(0)


class Holder(torch.nn.Module):
    def __init__(self, rows, columns):
        super().__init__()
        self.linear = torch.nn.Linear(columns, rows, bias=False)


def read(path, rows, columns):
    return torch.from_numpy(np.fromfile(path, "<f4").reshape(rows, columns))


def timed(body):
    wall, processor = time.perf_counter(), time.process_time()
    result = body()
    return time.perf_counter() - wall, time.process_time() - processor, result


def pissa(path, rows, columns, rank):
    weight = read(path, rows, columns)
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=["linear"])
    layer = get_peft_model(Holder(rows, columns), config).base_model.model.linear
    layer.get_base_layer().weight.data = weight.clone()
    wall, processor, _ = timed(lambda: layer.pissa_init("default", "pissa_niter_4"))
    return wall, processor, float(layer.get_base_layer().weight.detach().double().norm())


def gesdd(path, rows, columns):
    weight = read(path, rows, columns).numpy()
    wall, processor, result = timed(lambda: np.linalg.svd(weight, full_matrices=False))
    return wall, processor, float(result[1][0])


def eora(delta_path, gram_path, order, rank):
    delta, gram = read(delta_path, order, order), read(gram_path, order, order).double()

    def run():
        values, vectors = torch.linalg.eigh(gram)
        keep = values > values[-1] * min(1.0, order * torch.finfo(torch.float32).eps)
        root = torch.where(keep, values.clamp(min=0).sqrt(), 0.0)
        inverse = torch.where(keep, 1 / root, 0.0)
        s = (vectors * root).float()
        back = (inverse[:, None] * vectors.T).float()
        u, sigma, vt = torch.linalg.svd(delta @ s, full_matrices=False)
        scale = sigma[:rank].sqrt()
        return u[:, :rank] * scale, scale[:, None] * vt[:rank] @ back

    wall, processor, (b, a) = timed(run)
    left = delta.double() - b.double() @ a.double()
    return wall, processor, float(((left @ gram) * left).sum())


def optimum(delta_path, gram_path, order, rank):
    delta, gram = read(delta_path, order, order).double(), read(gram_path, order, order).double()

    def run():
        outer = delta @ ((gram + gram.T) / 2) @ delta.T
        values = torch.linalg.eigvalsh((outer + outer.T) / 2)
        return float(values[: order - rank].sum())

    return timed(run)


print("peft on torch", torch.__version__, flush=True)
for line in sys.stdin:
    name, *arguments = line.split()
    if name == "pissa":
        reply = pissa(arguments[0], *map(int, arguments[1:]))
    elif name == "gesdd":
        reply = gesdd(arguments[0], *map(int, arguments[1:]))
    elif name == "optimum":
        reply = optimum(arguments[0], arguments[1], *map(int, arguments[2:]))
    else:
        reply = eora(arguments[0], arguments[1], *map(int, arguments[2:]))
    print(*reply, flush=True)
