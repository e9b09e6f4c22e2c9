#!/usr/bin/env python3
"""Artefacts in other tools' formats, read by those tools or decoded by numpy alone.

    python3 Tests/Interop/export_formats.py PITH MODEL

MODEL is a Llama folder. Weights are compared bit for bit with `pith decompress` where the format is
exact; logits of transformers and llama.cpp to 1e-3 of their largest.
"""
import pathlib
import sys
import tempfile

try:
    import numpy as np
    from safetensors.numpy import load_file
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

import interop
from interop import check


def stream(words, count, bits):
    """The codes of a dense little-endian bit stream along the last axis."""
    words = words.astype(np.uint32)
    bit = (words[..., None] >> np.arange(32, dtype=np.uint32)) & 1
    bit = bit.reshape(*words.shape[:-1], -1)[..., :count * bits]
    return (bit.reshape(*words.shape[:-1], count, bits) << np.arange(bits)).sum(-1)


def gptq(tensors, module, config):
    qweight = tensors[module + ".qweight"].view(np.uint32)
    bits = config["bits"]
    columns, rows = qweight.shape[0] * 32 // bits, qweight.shape[1]
    codes = stream(qweight.T, columns, bits)
    zeros = stream(tensors[module + ".qzeros"].view(np.uint32), rows, bits)
    if config["checkpoint_format"] == "gptq":
        zeros = (zeros + 1) % 2 ** bits
    scales = tensors[module + ".scales"].astype(np.float32)
    index = tensors[module + ".g_idx"]
    return scales.T[:, index] * (codes - zeros.T[:, index]).astype(np.float32)


def awq(tensors, module, config):
    order = np.argsort([0, 2, 4, 6, 1, 3, 5, 7])

    def nibbles(words):
        values = (words.view(np.uint32)[..., None] >> (4 * np.arange(8, dtype=np.uint32))) & 15
        return values[..., order].reshape(words.shape[0], -1).astype(np.int64)

    codes, zeros = nibbles(tensors[module + ".qweight"]), nibbles(tensors[module + ".qzeros"])
    scales = tensors[module + ".scales"].astype(np.float32)
    group = codes.shape[0] // scales.shape[0]
    repeated = np.repeat(np.arange(scales.shape[0]), group)
    return (scales[repeated] * (codes - zeros[repeated])).T.astype(np.float32)


def compressed(tensors, module, config):
    weights = config["config_groups"]["group_0"]["weights"]
    bits = weights["num_bits"]
    rows, columns = tensors[module + ".weight_shape"]
    codes = stream(tensors[module + ".weight_packed"].view(np.uint32), columns, bits)
    scales = tensors[module + ".weight_scale"].astype(np.float32)
    zeros = np.full(scales.shape, 2 ** (bits - 1))
    if not weights["symmetric"]:
        zeros = stream(tensors[module + ".weight_zero_point"].view(np.uint32).T, rows, bits).T
    group = columns // scales.shape[1]
    repeat = lambda values: np.repeat(values, group, axis=1)
    return repeat(scales) * (codes - repeat(zeros)).astype(np.float32)


def logits_of(folder, ids):
    return interop.logits(interop.model(folder), ids)


def same_logits(found, expected, what):
    error = interop.distance(found, expected)
    check(error < 1e-3, f"{what}: logits differ by {error:.1e} of the largest")


def main(pith, model):
    run = interop.pith(pith)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        recipe = folder / "recipe.yaml"
        ids = [5, 17, 100, 7, 256, 31, 900, 1200, 44, 3]
        for bits, symmetric in [(4, True), (4, False), (8, True), (3, False), (2, False)]:
            recipe.write_text(
                "version: 1\nname: interop\nstages:\n  - quantize: {method: rtn, "
                f"bits: {bits}, group: 32, symmetric: {str(symmetric).lower()}}}\n")
            what = f"int{bits} g32" + ("" if symmetric else " asym")
            artefact, dense = folder / "a.h5", folder / f"dense{bits}{symmetric}"
            run("compress", recipe, "--model", model, "--output", artefact, "--force")
            run("decompress", artefact, dense)
            expected = load_file(dense / "model.safetensors")
            formats = {"gptq": gptq, "gptq-v2": gptq, "compressed-tensors": compressed}
            if bits == 4:
                formats["awq"] = awq
            for form, decode in formats.items():
                target = folder / f"{form}{bits}{symmetric}"
                run("export", artefact, "--format", form, "--output", target)
                marker = ".weight_packed" if form == "compressed-tensors" else ".qweight"
                tensors, config, modules = interop.quantized(target, load_file, marker)
                same = len(modules) > 0 and all(
                    np.array_equal(decode(tensors, m, config), expected[m + ".weight"])
                    for m in modules)
                check(same, f"{what} → {form}: {len(modules)} weights decoded by numpy, bit for bit")
                back = folder / "back.h5"
                run("import", target, "--output", back, "--force")
                run("decompress", back, folder / f"back{form}{bits}{symmetric}")
                again = load_file(folder / f"back{form}{bits}{symmetric}" / "model.safetensors")
                check(all(np.array_equal(again[n], expected[n]) for n in expected),
                      f"{what} → {form} → import: the same weights")
                if form == "compressed-tensors":
                    try:
                        same = all(np.array_equal(
                            interop.decompressed(
                                tensors, m, config["config_groups"]["group_0"]).numpy(),
                            expected[m + ".weight"]) for m in modules)
                        check(same, f"{what} → {form}: its own code decodes the same")
                        # compressed-tensors 0.20 prepares models for zero points that are not
                        # packed, and then finds the packed ones of the wrong size.
                        if symmetric:
                            same_logits(logits_of(str(target), ids), logits_of(str(dense), ids),
                                        f"{what} → {form} → transformers")
                    except ImportError as error:
                        print(f"skip  {what} → {form} → transformers: {error}")
            if symmetric:
                target = folder / f"{bits}.gguf"
                run("export", artefact, "--format", "gguf", "--output", target)
                run("convert", target, folder / f"fromgguf{bits}")
                again = load_file(folder / f"fromgguf{bits}" / "model.safetensors")
                check(all(np.array_equal(again[n], expected[n]) for n in expected),
                      f"{what} → gguf → pith convert: the same weights")
                try:
                    import gguf
                    reader = gguf.GGUFReader(str(target))
                    blocks = {t.name: t for t in reader.tensors}["blk.0.ffn_down.weight"]
                    values = gguf.quants.dequantize(blocks.data, blocks.tensor_type)
                    check(np.array_equal(
                        values.reshape(expected["model.layers.0.mlp.down_proj.weight"].shape),
                        expected["model.layers.0.mlp.down_proj.weight"]),
                        f"{what} → gguf: the gguf package decodes the same")
                except ImportError as error:
                    print(f"skip  {what} → gguf package: {error}")
                try:
                    import llama_cpp
                    llama = llama_cpp.Llama(str(target), n_ctx=64, logits_all=True, verbose=False)
                    llama.eval(ids)
                    found = np.array(llama.scores[:len(ids)])
                    wanted = logits_of(str(dense), ids)
                    # llama.cpp multiplies quantized weights with activations of 8 bits.
                    error = interop.distance(found, wanted)
                    check(error < 3e-2, f"{what} → gguf → llama.cpp: logits differ by {error:.1e} "
                          "of the largest (its activations have 8 bits)")
                    text = "The people of the town, 1234 of them, said:"
                    theirs = llama.tokenize(text.encode(), add_bos=False)
                    from transformers import AutoTokenizer
                    ours = AutoTokenizer.from_pretrained(str(dense)).encode(
                        text, add_special_tokens=False)
                    check(theirs == ours, f"{what} → gguf: llama.cpp tokenizes alike")
                except ImportError as error:
                    print(f"skip  {what} → llama.cpp: {error}")
    interop.finish()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__)
        sys.exit(2)
    main(*sys.argv[1:])
