#!/usr/bin/env python3
"""compressed-tensors' forms beside pack-quantized, read by its own code and by transformers.

    python3 Tests/Interop/compressed_forms.py PITH MODEL

MODEL is a Llama folder. Each form is decoded by the library's own decompressor and compared with
`pith decompress`; logits of transformers are compared with those of the decoded weights behind
inputs that are rounded as Pith rounds them (docs/activations.md): equal where a step is stored, and
close where it is found while running, since its integers have 127.5 steps to a side.
Exit codes: 0 good, 1 a difference, 77 a Python module is missing.
"""
import pathlib
import sys
import tempfile

try:
    import numpy as np
    import torch
    from compressed_tensors.quantization import QuantizationArgs
    from compressed_tensors.quantization.lifecycle.forward import fake_quantize
    from compressed_tensors.quantization.utils import compute_dynamic_scales_and_zp
    from safetensors.torch import load_file
    from transformers import CompressedTensorsConfig
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

import interop
from interop import check


def rounded(inputs, step):
    """A linear layer's inputs on Pith's grid: a stored step, or one for each token."""
    def hook(module, arguments):
        x = arguments[0]
        if inputs["type"] == "float":
            s = step if step is not None else x.abs().amax(-1, keepdim=True) / 448
            return ((x / s).clamp(-448, 448).to(torch.float8_e4m3fn).float() * s,)
        if inputs["symmetric"]:
            s = step if step is not None else x.abs().amax(-1, keepdim=True) / 127
            return ((x / s).round().clamp(-127, 127) * s,)
        low, high = x.amin(-1, keepdim=True).clamp(max=0), x.amax(-1, keepdim=True).clamp(min=0)
        s = (high - low) / 255
        zero = (-low / s).round()
        return (((x / s).round() + zero).clamp(0, 255) * s - zero * s,)
    return hook


def logits(folder, ids, hooks=None, **options):
    model = interop.model(folder, **options)
    for name, module in model.named_modules():
        if hooks and name in hooks:
            module.register_forward_pre_hook(hooks[name])
    return interop.logits(model, ids)


# name, stages, what the decompressor's own arithmetic loses, what transformers' logits may differ by
FORMS = [
    ("int8 weights and inputs per token",
     "  - quantize: {method: rtn, bits: 8, group: channel}\n  - activations: {format: int8}",
     0, 2e-2),
    ("int8 weights and inputs per tensor",
     "  - quantize: {method: rtn, bits: 8, group: channel}\n"
     "  - activations: {format: int8, granularity: tensor}", 0, 1e-3),
    ("4-bit weights in groups with zero points, int8 inputs",
     "  - quantize: {method: rtn, bits: 4, group: 32, symmetric: false}\n"
     "  - activations: {format: int8}", 0, 2e-2),
    ("FP8 per channel", "  - quantize: {method: rtn, format: e4m3, group: channel}", 0, 1e-3),
    ("FP8 weights and inputs per tensor",
     "  - quantize: {method: rtn, format: e4m3, group: tensor, scales: f32}\n"
     "  - activations: {format: fp8_e4m3, granularity: tensor}", 0, 1e-3),
    ("FP8 weights per channel, inputs per token",
     "  - quantize: {method: rtn, format: e4m3, group: channel}\n"
     "  - activations: {format: fp8_e4m3}", 0, 1e-3),
    # Its decompressor of two codes a byte works in bf16.
    ("NVFP4", "  - quantize: {method: rtn, format: nvfp4}", 2 ** -8, 2e-2),
    ("NVFP4 weights and inputs",
     "  - quantize: {method: rtn, format: nvfp4}\n"
     "  - activations: {format: fp4_e2m1, granularity: tensor_block, scale: e4m3}",
     2 ** -8, 2e-2),
    ("MXFP4", "  - quantize: {method: rtn, format: mxfp4}", 0, 1e-3),
    ("MXFP8", "  - quantize: {method: rtn, format: mxfp8_e4m3}", 0, 1e-3),
]


def rounded_by_library(inputs, number):
    """A linear layer's inputs as compressed-tensors rounds them under a stored number."""
    arguments = QuantizationArgs(**inputs)

    def hook(module, found):
        x = found[0]
        scale, zero = compute_dynamic_scales_and_zp(x, arguments, module, global_scale=number)
        return (fake_quantize(x, scale, zero, arguments, global_scale=number),)
    return hook


def by_hand(tensors, module):
    """NVFP4 in f32: what a program that keeps to the format's text decodes."""
    values = np.array([0, .5, 1, 1.5, 2, 3, 4, 6], np.float32)
    values = np.concatenate([values, -values])
    packed = tensors[module + ".weight_packed"].numpy()
    codes = np.stack([packed & 15, packed >> 4], -1).reshape(packed.shape[0], -1)
    scales = tensors[module + ".weight_scale"].float().numpy()
    scales = scales / tensors[module + ".weight_global_scale"].numpy()
    return values[codes] * np.repeat(scales, 16, axis=1)


def main(pith, model):
    run = interop.pith(pith)
    ids = [5, 17, 100, 7, 256, 31, 900, 1200, 44, 3]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for index, (what, stages, loss, bound) in enumerate(FORMS):
            (folder / "recipe.yaml").write_text(
                f"version: 1\nname: interop\nstages:\n{stages}\n")
            artefact, out, dense = folder / "a.h5", folder / f"out{index}", folder / f"d{index}"
            run("compress", folder / "recipe.yaml", "--model", model, "--output", artefact,
                "--force")
            run("decompress", artefact, dense)
            run("export", artefact, "--format", "compressed-tensors", "--output", out)
            expected = load_file(dense / "model.safetensors")
            tensors, config, modules = interop.quantized(out, load_file, ".weight_scale")
            group = config["config_groups"]["group_0"]
            worst = 0.0
            for module in modules:
                wanted = expected[module + ".weight"]
                found = interop.decompressed(tensors, module, group)
                worst = max(worst, ((found - wanted).abs() / wanted.abs().clamp(min=1e-9)).max())
            check(modules and worst <= loss,
                  f"{what}: {len(modules)} weights of {group['format']} by its own decompressor, "
                  f"off by {float(worst):.1e} at most")
            if group["format"].startswith("nvfp4"):
                worst = max(
                    np.abs(by_hand(tensors, m) - expected[m + ".weight"].numpy()).max()
                    / expected[m + ".weight"].abs().max().item() for m in modules)
                check(worst < 2e-7, f"{what}: in f32 off by {worst:.1e} of the largest at most")
            back = folder / "back.h5"
            run("import", out, "--output", back, "--force")
            run("decompress", back, folder / f"b{index}")
            again = load_file(folder / f"b{index}" / "model.safetensors")
            check(all(torch.equal(again[n], expected[n]) for n in expected),
                  f"{what}: imported again, the same weights")
            inputs = group["input_activations"]
            if inputs and inputs["dynamic"] == "local":
                windows = np.random.default_rng(1).integers(3, 1000, (8, 64)).astype(np.int32)
                ours = interop.pith_losses(run, artefact, windows, folder)
                exact = interop.losses(interop.model(dense), windows)
                loaded = interop.model(dense)
                for name, module in loaded.named_modules():
                    if name in modules:
                        module.register_forward_pre_hook(rounded_by_library(
                            inputs, tensors[name + ".input_global_scale"]))
                error = np.abs(interop.losses(loaded, windows) - ours).mean()
                power = np.abs(exact - ours).mean()
                check(error < 0.05 * power, f"{what}: −log p with inputs rounded by the library "
                      f"differs by {error:.1e} in the mean, without rounding by {power:.1e}")
            # Weights under coded scales come out of the library in bf16, which a model in f32 only
            # takes where they are decoded while loading; inputs are not rounded then.
            options, hooks = {}, None
            if inputs and "fp4" not in group["format"]:
                hooks = {m: rounded(inputs, tensors.get(m + ".input_scale")) for m in modules}
            if group["format"].startswith(("nvfp", "mxfp")):
                options["quantization_config"] = CompressedTensorsConfig(dequantize=True)
            found, wanted = logits(out, ids, **options), logits(dense, ids, hooks)
            error = interop.distance(found, wanted)
            check(error < bound, f"{what}: transformers' logits differ from those of the decoded "
                  f"weights by {error:.1e} of the largest")
    interop.finish()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__)
        sys.exit(2)
    main(*sys.argv[1:])
