#!/usr/bin/env python3
"""Loads what 'pith export --format peft' writes with transformers and peft.

    peft_roundtrip.py PITH MODEL

MODEL is a folder that transformers loads. PiSSA and CorDA: base and adapter together give the original
model's logits to 1e-4; EoRA over a decoded base: those of the artefact, which 'pith decompress' writes
as a dense model. An adapter that peft made is read back by the same rules in InterchangeTests.
Exits 77 where peft or transformers is missing.
"""
import os
import subprocess
import sys
import tempfile

try:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

RECIPES = {
    "pissa": "[{low_rank: {method: pissa, rank: 4}}]",
    "pissa_fast": "[{low_rank: {method: pissa_fast, rank: 4}}]",
    "corda_ipa": "[{low_rank: {method: corda_ipa, rank: 4}}]",
    "corda_kpa": "[{low_rank: {method: corda_kpa, rank: 4}}]",
    "eora": "[{quantize: {method: gptq, bits: 2, group: 32, symmetric: false}}, "
    "{low_rank: {method: eora, rank: 4}}]",
    "mixed ranks": "[{quantize: {method: rtn, bits: 3, group: 32}}, "
    "{low_rank: {method: eora, energy: 0.5, factors: f32}}]",
}


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(command)}\n{result.stderr}")


def logits(model, tokens):
    model.eval()
    with torch.no_grad():
        return model(tokens).logits.double()


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def main(pith, source):
    torch.manual_seed(1)
    failed = 0
    with tempfile.TemporaryDirectory() as work:
        original = load(source)
        tokens = torch.randint(0, original.config.vocab_size, (2, 48))
        expected_of_original = logits(original, tokens)
        statistics = f"{work}/statistics.h5"
        run(pith, "calibrate", "--model", source, "--output", statistics, "--sequences", "16",
            "--length", "64")
        for name, stages in RECIPES.items():
            place = f"{work}/{name.replace(' ', '-')}"
            with open(place + ".yaml", "w") as file:
                file.write(f"version: 1\nname: interop\nstages: {stages}\n")
            run(pith, "compress", place + ".yaml", "--model", source, "--output", place + ".h5",
                "--statistics", statistics)
            run(pith, "export", place + ".h5", "--format", "peft", "--output", place)
            found = logits(PeftModel.from_pretrained(load(place + "/base"), place), tokens)
            bare = logits(load(place + "/base"), tokens)
            if name.startswith(("pissa", "corda")):
                what, expected = "original", expected_of_original
            else:
                run(pith, "decompress", place + ".h5", place + "-dense")
                what, expected = "artefact", logits(load(place + "-dense"), tokens)
            worst = float((found - expected).abs().max())
            without = float((bare - expected).abs().max())
            # The adapter must matter: without it the base is another model.
            ok = worst <= 1e-4 < without
            failed += not ok
            print(f"{'ok  ' if ok else 'FAIL'} {name}: largest difference of logits from the {what} "
                  f"{worst:.2e}, without the adapter {without:.2e}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
