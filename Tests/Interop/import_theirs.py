#!/usr/bin/env python3
"""Files that other programs wrote, imported: import_theirs.py PITH MODEL

MODEL is a Llama folder. compressed-tensors quantizes and compresses it in its own forms, with scales of
inputs, keys and values; the gguf package writes it as Q8_0 and Q4_0, and llama-quantize, where LLAMA_BIN
names its folder, as Q4_K_M of what Pith exported. Each is imported by Pith and decoded to the weights that
its own program decodes, with its steps of inputs and its scales of keys.
Exit codes: 0 good, 1 a difference, 77 a Python module is missing.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
    import torch
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import (
        QuantizationArgs, QuantizationConfig, QuantizationScheme, apply_quantization_config)
    from compressed_tensors.quantization.utils import calculate_qparams
    from safetensors.torch import load_file
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

import interop
from interop import check

INTEGER4 = dict(num_bits=4, strategy="group", group_size=32)
INT8 = dict(num_bits=8, strategy="channel")
FP8 = dict(num_bits=8, type="float", strategy="tensor")
NVFP4 = dict(num_bits=4, type="float", strategy="tensor_group", group_size=16,
             scale_dtype=torch.float8_e4m3fn)
# name, weights, inputs, keys and values
SCHEMES = [
    ("W4A16", INTEGER4, None, None),
    ("W4A16 with zero points", dict(INTEGER4, symmetric=False), None, None),
    ("W3A16", dict(INTEGER4, num_bits=3), None, None),
    ("W8A16 and keys in FP8", INT8, None, dict(FP8, dynamic=False)),
    ("W8A8", INT8, dict(num_bits=8, strategy="token", dynamic=True), None),
    ("FP8 with stored steps", FP8, FP8, None),
    ("FP8 in blocks", dict(FP8, strategy="block", block_structure=[32, 32]), None, None),
    ("NVFP4 with inputs", NVFP4, dict(NVFP4, dynamic="local"), None),
    ("MXFP4", dict(num_bits=4, type="float", strategy="group", group_size=32,
                   scale_dtype=torch.uint8), None, None),
]


def calibrate(module, arguments):
    """Scales of a weight by its smallest and largest values, as the module's parameters lie."""
    weight = module.weight.data
    rows, columns = weight.shape
    if arguments.strategy == "block":
        height, width = arguments.block_structure
        parts = weight.reshape(rows // height, height, columns // width, width)
        low, high = parts.amin((1, 3)), parts.amax((1, 3))
    elif arguments.strategy == "tensor":
        low, high = weight.min().reshape(1), weight.max().reshape(1)
    else:
        parts = weight.reshape(rows, -1, arguments.group_size or columns)
        low, high = parts.amin(-1), parts.amax(-1)
    number = None
    if arguments.strategy == "tensor_group":
        number = (448 * 6 / weight.abs().max()).reshape(1)
        module.weight_global_scale.data = number
    scale, zero = calculate_qparams(low, high, arguments, global_scale=number)
    module.weight_scale.data = scale.to(module.weight_scale.dtype).reshape(
        module.weight_scale.shape)
    if hasattr(module, "weight_zero_point"):
        module.weight_zero_point.data = zero.to(module.weight_zero_point.dtype).reshape(
            module.weight_zero_point.shape)
    if hasattr(module, "input_scale"):
        module.input_scale.data.fill_(0.0625)
    if hasattr(module, "input_global_scale"):
        module.input_global_scale.data = torch.tensor([448 * 6 / 8.0])


def by_compressed_tensors(source, folder, weights, inputs, keys):
    """Writes MODEL quantized; the weights that the library decodes, and the modules' numbers."""
    model = interop.model(source)
    scheme = QuantizationScheme(
        targets=["Linear"], weights=QuantizationArgs(**weights),
        input_activations=QuantizationArgs(**inputs) if inputs else None)
    apply_quantization_config(model, QuantizationConfig(
        config_groups={"group_0": scheme}, ignore=["lm_head"],
        kv_cache_scheme=QuantizationArgs(**keys) if keys else None))
    modules = {}
    for name, module in model.named_modules():
        if hasattr(module, "weight_scale"):
            calibrate(module, scheme.weights)
            modules[name] = module
        if hasattr(module, "k_scale"):
            module.k_scale.data.fill_(0.03125)
            module.v_scale.data.fill_(0.0078125)
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    model.save_pretrained(folder)
    compressor.update_config(folder)
    compressor.decompress_model(model)
    return {name: module.weight.data.float() for name, module in modules.items()}


def imported(run, source, folder, name):
    back, dense = folder / f"{name}.h5", folder / f"{name}-dense"
    said = run("import", source, "--output", back).stderr
    run("decompress", back, dense)
    return back, load_file(dense / "model.safetensors"), said


def main(program, source):
    run = interop.pith(program)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for index, (what, weights, inputs, keys) in enumerate(SCHEMES):
            out = folder / f"theirs{index}"
            expected = by_compressed_tensors(source, out, weights, inputs, keys)
            back, found, said = imported(run, out, folder, f"back{index}")
            # Its decompressor of two codes a byte gives bf16.
            bound = 2 ** -8 if weights.get("type") == "float" and weights["num_bits"] == 4 else 0
            worst = max(((found[n + ".weight"] - w).abs() / w.abs().clamp(min=1e-9)).max().item()
                        for n, w in expected.items())
            check(expected and worst <= bound and "warning" not in said,
                  f"{what}: {len(expected)} weights as compressed-tensors decodes them, off by "
                  f"{worst:.1e} at most {said.strip()}")
            with h5py.File(back) as file:
                if keys:
                    scales = json.loads(file.attrs["kv_scales"])
                    check(set(scales["keys"]) == {0.03125} and set(scales["values"]) == {0.0078125}
                          and len(scales["keys"]) == 2, f"{what}: its scales of keys and values")
                if inputs and not inputs.get("dynamic") is True:
                    group = file["weights/model.layers.0.mlp.up_proj.weight"].attrs
                    wanted = 8.0 if weights is NVFP4 else 0.0625 * 448
                    check(abs(group["activation_maximum"] - wanted) < 1e-5 * wanted,
                          f"{what}: its step of inputs")
        gguf_files(run, source, folder)
    interop.finish()


def gguf_files(run, source, folder):
    try:
        import gguf
    except ImportError as error:
        print(f"skip  GGUF: {error}")
        return

    def compare(what, path):
        back, _, _ = imported(run, path, folder, path.stem)
        # Exported again, the file has the same tensors.
        again = folder / (path.stem + "-again.gguf")
        run("export", back, "--format", "gguf", "--output", again)
        theirs = {t.name: t for t in gguf.GGUFReader(str(path)).tensors}
        ours = {t.name: t for t in gguf.GGUFReader(str(again)).tensors}
        same = all(t.tensor_type == ours[n].tensor_type and np.array_equal(t.data, ours[n].data)
                   for n, t in theirs.items())
        check(same and theirs.keys() == ours.keys(),
              f"{what}: {len(theirs)} tensors imported and exported again are the same bytes")
        dense = load_file(folder / (path.stem + "-dense") / "model.safetensors")
        tensor = theirs["blk.1.ffn_down.weight"]
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        check(np.array_equal(values.reshape(-1), dense[
            "model.layers.1.mlp.down_proj.weight"].numpy().reshape(-1)),
            f"{what}: decoded as the gguf package does")

    plain, artefact = folder / "plain.gguf", folder / "plain.h5"
    (folder / "plain.yaml").write_text(
        "version: 1\nname: plain\nstages:\n  - quantize: {method: rtn, bits: 8}\n"
        "overrides:\n  - {targets: [\"*\"], skip: true}\n")
    run("compress", folder / "plain.yaml", "--model", source, "--output", artefact)
    run("export", artefact, "--format", "gguf", "--output", plain)
    reader = gguf.GGUFReader(str(plain))
    for kind in ("Q8_0", "Q4_0"):
        path = folder / f"{kind}.gguf"
        writer = gguf.GGUFWriter(str(path), "llama")
        for field in reader.fields.values():
            if field.name.startswith(("GGUF.", "general.architecture")):
                continue
            value, types = field.contents(), field.types
            if types[0] == gguf.GGUFValueType.ARRAY:
                writer.add_array(field.name, value)
            else:
                writer.add_key_value(field.name, value, types[0])
        for tensor in reader.tensors:
            data = tensor.data
            if len(tensor.shape) == 2:
                kind_of = gguf.GGMLQuantizationType[kind]
                writer.add_tensor(tensor.name, gguf.quants.quantize(data, kind_of),
                                  raw_dtype=kind_of)
            else:
                writer.add_tensor(tensor.name, data)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        compare(f"{kind} by the gguf package", path)
    program = pathlib.Path(os.environ.get("LLAMA_BIN", "")) / "llama-quantize"
    if "LLAMA_BIN" not in os.environ or not program.exists():
        print("skip  llama-quantize: LLAMA_BIN does not name its folder")
        return
    path = folder / "Q4_K_M.gguf"
    done = subprocess.run([program, plain, path, "Q4_K_M", "1"], capture_output=True, text=True)
    if done.returncode:
        check(False, f"llama-quantize: {done.stderr[-300:]}")
    else:
        compare("Q4_K_M by llama-quantize", path)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__)
        sys.exit(2)
    main(*sys.argv[1:])
