#!/usr/bin/env python3
"""Loads what 'pith export --format peft' writes with transformers and peft.

    peft_roundtrip.py PITH MODEL

MODEL is a folder that transformers loads. PiSSA and CorDA: base and adapter together give the original
model's logits to 1e-4; EoRA over a decoded base: those of the artefact, which 'pith decompress' writes
as a dense model. The other way, adapters that peft made (patterns of ranks and alphas, rslora) are imported
over MODEL, and a PiSSA adapter that was trained becomes a plain one: the logits are peft's.
Exits 77 where peft or transformers is missing.
"""
import os
import subprocess
import sys
import tempfile

try:
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
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


def check(name, found, expected, without):
    """The adapter must matter: without it the base is another model."""
    worst = float((found - expected).abs().max())
    bare = float((without - expected).abs().max())
    ok = worst <= 1e-4 < bare
    print(f"{'ok  ' if ok else 'FAIL'} {name}: largest difference of logits {worst:.2e}, without the "
          f"adapter {bare:.2e}", flush=True)
    return 0 if ok else 1


def jostle(model, amount):
    """Stands for training: every factor moves."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_" in name:
                value += amount * torch.randn_like(value)


def imported(pith, source, work, tokens, expected_of_original):
    """Adapters of peft's own making, read by Pith."""
    failed = 0
    targets = ["q_proj", "v_proj", "down_proj"]
    configs = {
        "plain": LoraConfig(r=4, lora_alpha=6, target_modules=targets),
        "patterns": LoraConfig(
            r=4, lora_alpha=8, target_modules=targets, rank_pattern={"v_proj": 2},
            alpha_pattern={"layers.0.self_attn.q_proj": 5}),
        "rslora": LoraConfig(r=4, lora_alpha=8, target_modules=targets, use_rslora=True),
    }
    for name, config in configs.items():
        model = get_peft_model(load(source), config)
        jostle(model, 0.02)
        place = f"{work}/made-{name}"
        model.save_pretrained(place)
        run(pith, "import", place, "--base", source, "--output", place + ".h5")
        run(pith, "decompress", place + ".h5", place + "-dense")
        failed += check(
            f"imported, {name}", logits(load(place + "-dense"), tokens), logits(model, tokens),
            expected_of_original)
    # A residual adapter, trained, as a plain one beside the original.
    config = LoraConfig(
        r=4, lora_alpha=4, target_modules=targets, init_lora_weights="pissa", use_rslora=True)
    model = get_peft_model(load(source), config)
    start, end, plain = (f"{work}/pissa-{name}" for name in ("start", "end", "plain"))
    model.save_pretrained(start)
    jostle(model, 0.02)
    model.save_pretrained(end)
    run(pith, "merge", "adapter", end, "--initial", start, "--output", plain)
    found = logits(PeftModel.from_pretrained(load(source), plain), tokens)
    failed += check("trained pissa, made plain", found, logits(model, tokens), expected_of_original)
    return failed


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
            failed += check(f"{name}, against the {what}", found, expected, bare)
        failed += imported(pith, source, work, tokens, expected_of_original)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
