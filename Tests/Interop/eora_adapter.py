#!/usr/bin/env python3
"""GPTQ weights with an EoRA adapter beside them, decoded by numpy: eora_adapter.py PITH MODEL

MODEL is a Llama folder. The adapter is read as GPTQModel's loader reads it (names lower-cased and
matched by their ends, no scale, one rank), added to the decoded codes, and compared with what
`pith decompress` gives. peft loads the same folder.
Exit codes: 0 good, 1 a difference, 77 a Python module is missing.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    from safetensors.numpy import load_file
    from export_formats import gptq
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)


def main(pith, model):
    def run(*arguments):
        subprocess.run([pith, *map(str, arguments)], check=True, capture_output=True)

    wrong = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "recipe.yaml").write_text(
            "version: 1\nname: eora\nstages:\n"
            "  - quantize: {method: gptq, bits: 3, group: 32}\n"
            "  - low_rank: {method: eora, of: error, rank: 4}\n"
            "overrides:\n  - targets: ['*.down_proj.weight']\n"
            "    set: {low_rank: {rank: 2}}\n")
        run("compress", folder / "recipe.yaml", "--model", model, "--output", folder / "a.h5")
        run("decompress", folder / "a.h5", folder / "dense")
        expected = load_file(folder / "dense" / "model.safetensors")
        for form in ["gptq", "gptq-v2"]:
            out = folder / form
            run("export", folder / "a.h5", "--format", form, "--output", out)
            tensors = load_file(out / "model.safetensors")
            config = json.loads((out / "config.json").read_text())["quantization_config"]
            adapter = load_file(out / "eora" / "adapter_model.safetensors")
            says = json.loads((out / "eora" / "adapter_config.json").read_text())
            worst, plain, count = 0.0, 0.0, 0
            for key in [n for n in tensors if n.endswith(".qweight")]:
                module = key[:-len(".qweight")]
                a, b = (next(v for k, v in adapter.items()
                             if k.endswith(f"{module.lower()}.lora_{side}.weight"))
                        .astype(np.float32) for side in "AB")
                if a.shape[0] != says["r"] or b.shape[1] != says["r"]:
                    wrong.append(f"{module}: rank {a.shape[0]}")
                codes = gptq(tensors, module, config)
                wanted = expected[module + ".weight"]
                scale = np.abs(wanted).max()
                worst = max(worst, np.abs(codes + b @ a - wanted).max() / scale)
                plain = max(plain, np.abs(codes - wanted).max() / scale)
                count += 1
            print(f"{form}: {count} weights, codes and adapter together off by {worst:.1e} of the "
                  f"largest, codes alone by {plain:.1e}")
            if not worst < 1e-5 < plain or count == 0:
                wrong.append(form)
            if says["lora_alpha"] != says["r"] or "alpha_pattern" in says:
                wrong.append(f"{form}: configuration")
        try:
            from peft import LoraConfig
            read = LoraConfig.from_pretrained(str(folder / "gptq" / "eora"))
            print(f"peft reads the configuration: rank {read.r}, alpha {read.lora_alpha}")
        except ImportError as error:
            print(f"skip  peft: {error}")
    for problem in wrong:
        print("WRONG " + problem)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__)
        sys.exit(2)
    main(*sys.argv[1:])
