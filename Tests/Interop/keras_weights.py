#!/usr/bin/env python3
"""Keras loads the weights that Pith wrote back: keras_weights.py PITH

A small Keras model is saved, compressed to 8 bits, and exported decoded (f32 and f16) and as int8
and int4 variables, compressed by gzip; Keras's load_weights takes each, and its outputs are those
of the decoded weights.
Exit codes: 0 good, 1 a difference, 77 a Python module is missing.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("KERAS_BACKEND", "torch")
try:
    import keras
    import numpy as np
    from keras import layers
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)


def build():
    inputs = keras.Input((64,))
    x = layers.Dense(96, activation="relu", name="first")(inputs)
    x = layers.Dense(64, activation="relu", use_bias=False, name="second")(x)
    return keras.Model(inputs, layers.Dense(8, name="head")(x))


def main(pith):
    def run(*arguments):
        subprocess.run([pith, *map(str, arguments)], check=True, capture_output=True)

    keras.utils.set_random_seed(3)
    model = build()
    x = np.random.default_rng(0).standard_normal((16, 64)).astype("float32")
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        model.save_weights(folder / "model.weights.h5")
        (folder / "recipe.yaml").write_text(
            "version: 1\nname: keras\nstages:\n"
            "  - quantize: {method: rtn, bits: 8, group: channel}\n")
        run("compress", folder / "recipe.yaml", "--model", folder / "model.weights.h5",
            "--output", folder / "a.h5")
        original = keras.ops.convert_to_numpy(model(x))
        outputs = {}
        for name, grid in {"b": "4, group: channel", "c": "4, group: 32, symmetric: false"}.items():
            (folder / f"{name}.yaml").write_text(
                "version: 1\nname: keras\nstages:\n"
                f"  - quantize: {{method: rtn, bits: {grid}}}\n")
            run("compress", folder / f"{name}.yaml", "--model", folder / "model.weights.h5",
                "--output", folder / f"{name}.h5")
        forms = {
            "f32": ("a", []), "f16": ("a", ["--dtype", "f16"]), "int8": ("a", ["--int8"]),
            "f32 gzip": ("a", ["--gzip"]), "int8 gzip": ("a", ["--int8", "--gzip"]),
            "4 bits, f32": ("b", []), "int4": ("b", ["--int4"]),
            "4 bits in groups, f32": ("c", []), "int4 in groups": ("c", ["--int4", "--gzip"]),
        }
        for form, (artefact, flags) in forms.items():
            path = folder / f"{form}.weights.h5"
            run("export", folder / f"{artefact}.h5", "--format", "keras", "--output", path, *flags)
            other = build()
            if form.startswith("int8"):
                other.quantize("int8")
            if form.startswith("int4"):
                size = 32 if "groups" in form else -1
                other.quantize(config=keras.quantizers.Int4QuantizationConfig(block_size=size))
            other.load_weights(path)
            outputs[form] = keras.ops.convert_to_numpy(other(x))
            size = path.stat().st_size / (folder / "model.weights.h5").stat().st_size
            print(f"{form}: {size:.2f} of the file's size")
        scale = np.abs(original).max()
        for form, to, bound in [
                ("f16", "f32", 2e-3), ("int8", "f32", 3e-2), ("f32 gzip", "f32", 0),
                ("int8 gzip", "int8", 0), ("int4", "4 bits, f32", 1e-5),
                ("int4 in groups", "4 bits in groups, f32", 1e-5)]:
            error = np.abs(outputs[form] - outputs[to]).max() / scale
            print(f"{form}: outputs differ from the decoded weights' by {error:.1e}")
            if error > bound:
                wrong.append(form)
        error = np.abs(outputs["f32"] - original).max() / scale
        print(f"8 bits cost {error:.1e} of the outputs")
        if not 0 < error < 5e-2:
            wrong.append("f32")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__)
        sys.exit(2)
    main(sys.argv[1])
