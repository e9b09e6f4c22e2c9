"""Round-to-nearest against numpy: rtn_error.py PITH MODEL.h5 [MODEL.h5 ...]

Pith compresses the model to 4 bits, symmetric, groups of 128 (or what its fallback says), once
without and once with its clip search; numpy does the same without a search. The errors must be
equal without the search, and no larger with it, tensor by tensor.
Exit codes: 0 good, 1 a difference, 77 a Python module is missing.
"""

import json
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

RECIPE = """version: 1
name: rtn
stages:
  - quantize: {{method: rtn, bits: 4, group: 128, clip: {clip}, scales: f16}}
"""


def numpy_error(weight, group):
    rows, columns = weight.shape
    grouped = weight.reshape(rows, columns // group, group)
    largest = np.abs(grouped).max(axis=2, keepdims=True)
    scale = (largest / np.float32(7.5)).astype(np.float16).astype(np.float32)
    scale[scale == 0] = 1
    codes = np.clip(np.rint(grouped / scale), -8, 7)
    difference = (codes * scale - grouped).astype(np.float64)
    return np.sqrt((difference**2).sum() / (grouped.astype(np.float64) ** 2).sum())


def pith_errors(pith, model, clip, folder):
    recipe, output = f"{folder}/{clip}.yaml", f"{folder}/{clip}.h5"
    with open(recipe, "w") as file:
        file.write(RECIPE.format(clip=clip))
    command = [pith, "compress", recipe, "--model", model, "--output", output, "--json"]
    record = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return {t["name"]: t for t in record["tensors"] if t["compressed"]}


def main(pith, models):
    wrong = 0
    for model in models:
        with tempfile.TemporaryDirectory() as folder, h5py.File(model) as file:
            plain = pith_errors(pith, model, "none", folder)
            searched = pith_errors(pith, model, "mse", folder)
            for name, tensor in plain.items():
                weight = file[name][()]
                group = int(tensor["stored_type"].split("g")[-1])
                expected = numpy_error(weight, group)
                found = tensor["error"]["relative_frobenius"]
                best = searched[name]["error"]["relative_frobenius"]
                if abs(found - expected) > 1e-6 * expected or best > expected * (1 + 1e-9):
                    print(f"{model}: {name}: numpy {expected}, pith {found}, with search {best}")
                    wrong += 1
            mean = lambda errors: np.mean([t["error"]["relative_frobenius"] for t in errors.values()])
            print(f"{model}: {len(plain)} tensors, mean error {mean(plain):.5f} as numpy's, "
                  f"{mean(searched):.5f} with the search")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        print(__doc__)
        sys.exit(2)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
