"""A narrowed model, decompressed to a folder, gives the same perplexity in transformers as in pith.

Usage: narrowed_transformers.py PITH MODEL STATISTICS
"""

import json
import os
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from transformers import AutoModelForCausalLM

pith, model, statistics = sys.argv[1:4]
with tempfile.TemporaryDirectory() as folder:
    recipe, artefact, dense = (f"{folder}/{name}" for name in ("r.yaml", "out.h5", "dense"))
    with open(recipe, "w") as file:
        file.write("version: 1\nname: r\nstages:\n")
        file.write("  - narrow: {feed_forward: 0.75, heads: 0.5, drop_blocks: 1}\n")
    def run(*arguments):
        return subprocess.run([pith, *arguments], check=True, capture_output=True, text=True).stdout

    run("compress", recipe, "--model", model, "--statistics", statistics, "--output", artefact)
    run("decompress", artefact, dense)
    loaded = AutoModelForCausalLM.from_pretrained(dense, dtype=torch.float32).eval()
    print({key: getattr(loaded.config, key) for key in (
        "intermediate_size", "num_attention_heads", "num_key_value_heads", "num_hidden_layers")})
    prompt = "Once upon a time"
    ours = run("generate", "--model", dense, "--prompt", prompt, "--tokens", "16", "--temperature", "0")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(dense)
    ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False).input_ids
    with torch.no_grad():
        out = loaded.generate(ids, max_new_tokens=16, do_sample=False)
    theirs = tokenizer.decode(out[0], skip_special_tokens=True)
    print("pith:        ", ours.strip())
    print("transformers:", theirs)
    assert theirs.strip().endswith(ours.strip()[-20:]) or ours.strip().endswith(theirs.strip()[-20:])
    print("equal")
