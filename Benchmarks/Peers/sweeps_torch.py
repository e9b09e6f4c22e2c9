"""GPTQ and SparseGPT in PyTorch, a line for a line: the peer of the benchmark `sweeps`.

`gptq WEIGHT GRAM ROWS COLUMNS plain|best THREADS` and `sparsegpt WEIGHT GRAM ROWS COLUMNS
50%|2:4|4:8 THREADS` on files of f32 answer with wall seconds, processor seconds and
tr(DHD')/tr(WHW').
"""

import sys
import time

import numpy as np
import torch

from gptq_reference import gptq, relative
from sparsegpt_torch import sparsegpt


def read(path, rows, columns):
    return torch.from_numpy(np.fromfile(path, np.float32).reshape(rows, columns))


PATTERNS = {"50%": {}, "2:4": {"pattern": (2, 4)}, "4:8": {"pattern": (4, 8)}}

print("torch", torch.__version__, flush=True)
for line in sys.stdin:
    method, weight_path, gram_path, rows, columns, setting, threads = line.split()
    weight = read(weight_path, int(rows), int(columns))
    gram = read(gram_path, int(columns), int(columns))
    torch.set_num_threads(int(threads))
    wall, processor = time.perf_counter(), time.process_time()
    if method == "gptq":
        best = {"order": True, "search": True} if setting == "best" else {}
        result = gptq(weight, gram, 4, 128, **best)
    else:
        result = sparsegpt(weight, gram, **PATTERNS[setting])
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(wall, processor, relative(result, weight, gram), flush=True)
