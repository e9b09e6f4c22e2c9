"""Scores windows with PyTorch and transformers: the peer of the benchmark group `scoring`.

Usage: score_transformers.py MODEL THREADS WINDOWS LENGTH
Prints a line when ready: the rows per batch that were fastest. Then one line in, one line out:
  score      wall seconds, processor seconds, mean -log p of the tokens after the first
  forward    the same for the logits alone (the mean is 0)
  tokens N   N greedy tokens after 16, one sequence with a cache
"""

import os
import sys
import time

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import torch
from transformers import AutoModelForCausalLM

path, threads, windows, length = sys.argv[1], *map(int, sys.argv[2:5])
torch.set_num_threads(threads)
torch.set_num_interop_threads(1)
model = AutoModelForCausalLM.from_pretrained(
    path, dtype=torch.float32, attn_implementation="sdpa").eval()
vocabulary = model.config.vocab_size
place = torch.arange(length) * 104729
tokens = torch.stack([(window * 7919 + place) % vocabulary for window in range(windows)])


@torch.inference_mode()
def run(batch, score):
    total = 0.0
    for first in range(0, windows, batch):
        ids = tokens[first : first + batch]
        logits = model(input_ids=ids, use_cache=False).logits
        if score:
            total += torch.nn.functional.cross_entropy(
                logits[:, :-1].reshape(-1, vocabulary), ids[:, 1:].reshape(-1), reduction="sum"
            ).item()
    return total / (windows * (length - 1))


@torch.inference_mode()
def generate(count):
    out = model(input_ids=tokens[:1, :16], use_cache=True)
    for _ in range(count - 1):
        following = out.logits[:, -1:].argmax(-1)
        out = model(input_ids=following, past_key_values=out.past_key_values, use_cache=True)
    return 0.0


def timed(body, *arguments):
    wall, processor = time.perf_counter(), time.process_time()
    value = body(*arguments)
    return time.perf_counter() - wall, time.process_time() - processor, value


sizes = [size for size in (1, 2, 4, 8) if size <= windows]
run(1, True)
fastest = min(sizes, key=lambda size: timed(run, size, True)[0])
print(fastest, flush=True)
for line in sys.stdin:
    words = line.split()
    if words[0] == "tokens":
        print(*timed(generate, int(words[1])), flush=True)
    else:
        print(*timed(run, fastest, words[0] == "score"), flush=True)
