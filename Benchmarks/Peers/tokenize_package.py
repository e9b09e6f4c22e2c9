"""Encodes a text line by line with the tokenizers package: the peer of the group `tokenizing`.

Usage: tokenize_package.py TOKENIZER.JSON TEXT
One line in (encode or batch), one line out: wall seconds, processor seconds, tokens.
"""

import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file(sys.argv[1])
tokenizer.no_truncation()
tokenizer.no_padding()
lines = open(sys.argv[2], encoding="utf-8", newline="").read().split("\n")


def encode():
    return sum(len(tokenizer.encode(line, add_special_tokens=False).ids) for line in lines)


def batch():
    found = tokenizer.encode_batch_fast(lines, add_special_tokens=False)
    return sum(len(encoding.ids) for encoding in found)


print("ready", flush=True)
for line in sys.stdin:
    body = {"encode": encode, "batch": batch}[line.strip()]
    wall, processor = time.perf_counter(), time.process_time()
    count = body()
    print(time.perf_counter() - wall, time.process_time() - processor, count, flush=True)
