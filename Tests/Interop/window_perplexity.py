"""Perplexity of a decompressed model on the windows of its reference file.

Usage: window_perplexity.py MODEL_FOLDER REFERENCE.h5 RESULT.safetensors...
REFERENCE.h5 holds `window_ids` and `window_targets`; every position is scored, in f32, by
transformers. The dense model comes first.
"""

import math
import sys

import h5py
import torch
from safetensors.torch import load_file
from transformers import LlamaForCausalLM

folder, reference, results = sys.argv[1], sys.argv[2], sys.argv[3:]
torch.set_num_threads(1)
model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
with h5py.File(reference) as file:
    ids = torch.from_numpy(file["window_ids"][()].astype("int64"))
    targets = torch.from_numpy(file["window_targets"][()].astype("int64"))


@torch.inference_mode()
def perplexity():
    total = 0.0
    for first in range(0, len(ids), 16):
        logits = model(input_ids=ids[first : first + 16], use_cache=False).logits
        total += torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), targets[first : first + 16].flatten(), reduction="sum").item()
    return math.exp(total / targets.numel())


print(f"dense {perplexity():.3f}", flush=True)
for path in results:
    missing, unexpected = model.load_state_dict(load_file(path), strict=False)
    assert not unexpected, unexpected
    print(f"{path} {perplexity():.3f}", flush=True)
