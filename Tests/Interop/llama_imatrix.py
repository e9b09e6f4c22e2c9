#!/usr/bin/env python3
"""Calibrated GGUF files against llama-quantize with an importance matrix: llama_imatrix.py PITH MODEL

MODEL is SmolLM2-135M's Hugging Face folder (or another Llama whose rows of 576 take the same
fallbacks). Environment:

    LLAMA_BIN   folder of llama-imatrix, llama-quantize and llama-perplexity
    TRAIN       text for the importance matrix and for Pith's calibration
    HELDOUT     text for the divergence
    WORK        folder for files (a few GB), kept; default: a temporary one
    CHUNKS      windows of 512 tokens of HELDOUT (40), SEQUENCES of TRAIN (32), THREADS (2)
    MIXES       which of Q2_K and Q4_K_M; default: both

llama-quantize's mix of types is read from its own file and given to Pith as a recipe: matrices with
4 and 5 bits in blocks of 32 by GPTQ with learned rounding on the same grids, K-quants by GPTQ in
their blocks. Both are measured by llama-perplexity against the f32 model's logits. Exit codes: 0
Pith's divergence is below llama-quantize's in no larger a file, 1 it is not, 77 something is missing.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

try:
    from gguf import GGUFReader
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

environment = os.environ
missing = [name for name in ("LLAMA_BIN", "TRAIN", "HELDOUT") if name not in environment]
if missing:
    print(f"skipped: set {', '.join(missing)}")
    sys.exit(77)

SEQUENCES = environment.get("SEQUENCES", "32")
THREADS = environment.get("THREADS", "2")
CHUNKS = environment.get("CHUNKS", "40")
STAGES = {
    "Q4_0": "{method: gptq, bits: 4, group: 32, rounding: learned}",
    "Q5_0": "{method: gptq, bits: 5, group: 32, rounding: learned}",
    "Q8_0": "{method: gptq, bits: 8, group: 32}",
    **{f"Q{bits}_K": f"{{method: gptq, format: q{bits}_k, rounding: learned}}"
       for bits in range(2, 7)},
}
NAMES = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def run(command, log):
    with open(log, "w") as output:
        subprocess.run(list(map(str, command)), check=True, stdout=output,
                       stderr=subprocess.STDOUT)


def recipe(mix, path, train):
    """The mix of types of a GGUF file, as overrides."""
    groups = {}
    for tensor in GGUFReader(str(path)).tensors:
        match = re.fullmatch(r"blk\.(\d+)\.(\w+)\.weight", tensor.name)
        if match and match[2] in NAMES:
            groups.setdefault(tensor.tensor_type.name, []).append(
                rf"layers\.{match[1]}\.{re.escape(NAMES[match[2]])}\.")
    lines = [
        "version: 1", f"name: {mix.lower().replace('_', '-')}-mix", 'targets: ["*"]',
        f"calibration: {{data: {train}, sequences: {SEQUENCES}, length: 512}}", "stages:",
        # The embedding is the head too: inputs of a look-up say nothing of its rows.
        "  - quantize: {method: rtn, bits: 8, group: 32}", "overrides:",
    ]
    for kind, names in groups.items():
        # A selector each: one expression of all would be longer than selectors may be.
        lines.append("  - targets:")
        lines += [f"      - 're:{name}'" for name in names]
        lines.append(f"    stages: [{{quantize: {STAGES[kind]}}}]")
    return "\n".join(lines) + "\n"


def divergence(log):
    text = pathlib.Path(log).read_text()
    found = {
        what: re.search(pattern, text) for what, pattern in [
            ("mean KLD", r"Mean\s+KLD:\s+([-\d.]+)\s+±\s+([-\d.]+)"),
            ("99 % KLD", r"99\.0%\s+KLD:\s+([-\d.]+)()"),
            ("same top", r"Same top p:\s+([-\d.]+)\s+±\s+([-\d.]+)"),
            ("PPL", r"Mean PPL\(Q\)\s+:\s+([-\d.]+)\s+±\s+([-\d.]+)")]
    }
    return {what: float(match[1]) for what, match in found.items() if match}


def main(pith, model, work):
    tools = pathlib.Path(environment["LLAMA_BIN"])
    train, heldout = environment["TRAIN"], environment["HELDOUT"]
    (work / "dense.yaml").write_text(
        "version: 1\nname: dense\nstages:\n  - quantize: {method: rtn, bits: 8}\n"
        'overrides:\n  - {targets: ["*"], skip: true}\n')
    dense, base, matrix = work / "f32.gguf", work / "base.kld", work / "imatrix.gguf"
    if not dense.exists():
        run([pith, "compress", work / "dense.yaml", "--model", model, "--output",
             work / "dense.h5", "--force"], work / "dense.log")
        run([pith, "export", work / "dense.h5", "--format", "gguf", "--output", dense],
            work / "export.log")
    common = ["-f", heldout, "-c", "512", "--chunks", CHUNKS, "-t", THREADS]
    if not base.exists():
        run([tools / "llama-perplexity", "-m", dense, *common, "--save-all-logits", base],
            work / "base.log")
    if not matrix.exists():
        run([tools / "llama-imatrix", "-m", dense, "-f", train, "-c", "512", "--chunks",
             SEQUENCES, "-t", THREADS, "-o", matrix], work / "imatrix.log")
    good = True
    for mix in environment.get("MIXES", "Q2_K Q4_K_M").split():
        theirs, ours = work / f"{mix}.gguf", work / f"pith-{mix}.gguf"
        if not theirs.exists():
            run([tools / "llama-quantize", "--imatrix", matrix, dense, theirs, mix, THREADS],
                work / f"{mix}.log")
        if not ours.exists():
            (work / f"{mix}.yaml").write_text(recipe(mix, theirs, train))
            run([pith, "compress", work / f"{mix}.yaml", "--model", model, "--output",
                 work / f"{mix}.h5", "--force"], work / f"pith-{mix}.log")
            run([pith, "export", work / f"{mix}.h5", "--format", "gguf", "--output", ours],
                work / f"export-{mix}.log")
        figures = {}
        for who, path in [("llama-quantize", theirs), ("Pith", ours)]:
            log = work / f"{path.stem}.kld.log"
            run([tools / "llama-perplexity", "-m", path, *common, "--kl-divergence-base", base,
                 "--kl-divergence"], log)
            figures[who] = divergence(log)
            print(f"{mix}, {who}: {path.stat().st_size} bytes, {figures[who]}", flush=True)
        better = figures["Pith"]["mean KLD"] < figures["llama-quantize"]["mean KLD"]
        # Metadata differ by some texts; the tensors' bytes are the same.
        same = ours.stat().st_size <= theirs.stat().st_size + 65536
        print(("ok    " if better and same else "WRONG ") + mix)
        good = good and better and same
    return good


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__)
        sys.exit(2)
    if "WORK" in environment:
        folder = pathlib.Path(environment["WORK"])
        folder.mkdir(parents=True, exist_ok=True)
        sys.exit(0 if main(*sys.argv[1:], folder) else 1)
    with tempfile.TemporaryDirectory() as name:
        sys.exit(0 if main(*sys.argv[1:], pathlib.Path(name)) else 1)
