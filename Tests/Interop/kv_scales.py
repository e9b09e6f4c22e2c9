#!/usr/bin/env python3
"""Stored scales of keys and values, in compressed-tensors' own hands: kv_scales.py PITH MODEL

MODEL is a Llama folder. A recipe with `kv_cache: {bits: 8, stored: fp8_e4m3}` (and int8) is exported as
compressed-tensors and loaded by transformers: its layers hold the artefact's scales, and what it says
of some windows is what Pith says, with keys and values rounded by the library's own cache, and again
with the decoded weights and a cache that rounds by the format's text. Without rounding both say
something else. Imported again the scales are the same.
Exit codes: 0 good, 1 a difference, 77 a Python module is missing.
"""
import json
import pathlib
import sys
import tempfile

try:
    import h5py
    import numpy as np
    import torch
    import compressed_tensors
    from safetensors.torch import load_file
    from transformers import DynamicCache
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

from interop import check, finish, losses, model, pith, pith_losses


def rounded(x, scale, form):
    if form == "int8":
        return (x / scale).round().clamp(-128, 127) * scale
    return (x / scale).clamp(-448, 448).to(torch.float8_e4m3fn).float() * scale


def rounding_cache(scales, form):
    class Cache(DynamicCache):
        def update(self, keys, values, layer, *more, **options):
            key, value = scales[layer]
            return super().update(
                rounded(keys, key, form), rounded(values, value, form), layer, *more, **options)
    return Cache


def stored(path):
    with h5py.File(path) as file:
        text = json.loads(file.attrs["kv_scales"])
    return list(zip(text["keys"], text["values"]))


def main(program, source):
    run = pith(program)
    config = json.loads((pathlib.Path(source) / "config.json").read_text())
    length = min(config["max_position_embeddings"], 128)
    generator = np.random.default_rng(1)
    windows = generator.integers(3, config["vocab_size"], (8, length)).astype(np.int32)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for form in ("fp8_e4m3", "int8"):
            recipe, artefact, out, dense = (
                folder / f"{form}{end}" for end in (".yaml", ".h5", "-out", "-dense"))
            recipe.write_text(
                f"version: 1\nname: kv\nkv_cache: {{bits: 8, stored: {form}}}\n"
                "stages:\n  - quantize: {method: rtn, bits: 8, group: channel}\n")
            run("compress", recipe, "--model", source, "--output", artefact)
            run("export", artefact, "--format", "compressed-tensors", "--output", out)
            run("decompress", artefact, dense)
            scales = stored(artefact)
            tensors = load_file(out / "model.safetensors")
            found = [tuple(tensors[f"model.layers.{i}.self_attn.{kind}_scale"].item()
                           for kind in "kv") for i in range(len(scales))]
            check(found == scales, f"{form}: {len(scales)} layers' scales are the artefact's")
            ours = pith_losses(run, artefact, windows, folder)
            exact = losses(model(dense), windows)
            by_text = losses(model(dense), windows, rounding_cache(scales, form))
            loaded = model(out)
            held = [(m.k_scale.item(), m.v_scale.item()) for n, m in loaded.named_modules()
                    if n.endswith("self_attn") and hasattr(m, "k_scale")]
            check(held == scales, f"{form}: transformers' layers hold them")
            library = losses(loaded, windows)
            power = np.abs(exact - ours).max()
            for what, theirs in (("a cache by the format's text", by_text),
                                 ("compressed-tensors' own cache", library)):
                error = np.abs(theirs - ours)
                # A key on the border of two numbers goes either way.
                check(error.mean() < 0.05 * np.abs(exact - ours).mean() and error.max() < power,
                      f"{form}: −log p by {what} differs by {error.mean():.1e} in the mean, "
                      f"{error.max():.1e} at most; without rounding by "
                      f"{np.abs(exact - ours).mean():.1e} and {power:.1e}")
            back = folder / f"{form}-back.h5"
            run("import", out, "--output", back)
            check(stored(back) == scales, f"{form}: imported again, the same scales")
    finish()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__)
        sys.exit(2)
    main(*sys.argv[1:])
