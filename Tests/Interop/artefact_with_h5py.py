"""An artefact read by h5py alone, as docs/artefact-format.md describes it: PITH MODEL

Pith compresses the model by several recipes and writes the dense tensors back with `pith
decompress`; this script decodes every part of every weight with numpy and must come to the same
numbers. The page's own example runs too. Every dataset's SHA-256 is checked on the way.
Exit codes: 0 good, 1 a difference, 77 a Python module is missing.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

STAGES = {
    "int4": "[{quantize: {method: rtn, bits: 4, group: 64}}]",
    "int3": "[{quantize: {method: rtn, bits: 3, group: 32, symmetric: false, scales: bf16}}]",
    "int5channel": "[{quantize: {method: rtn, bits: 5, group: channel, symmetric: false}}]",
    "int2tensor": "[{quantize: {method: rtn, bits: 2, group: tensor, scales: f32}}]",
    "sparse": "[{prune: {method: magnitude, sparsity: 0.5}}]",
    "sparse4": "[{prune: {method: magnitude, pattern: '2:4'}}, "
    "{quantize: {method: rtn, bits: 4, group: 32}}]",
    "sparse9": "[{prune: {method: magnitude, sparsity: 0.95}}, "
    "{quantize: {method: rtn, bits: 4, group: 32, symmetric: false}}]",
    "outliers": "[{outliers: {method: columns, count: 3}}, "
    "{quantize: {method: rtn, bits: 4, group: 64}}]",
    "repaired": "[{quantize: {method: rtn, bits: 4, group: 64}}, "
    "{low_rank: {method: svd, of: error, rank: 4}}]",
    "residual": "[{low_rank: {method: svd, of: weight, rank: 4}}, "
    "{quantize: {method: rtn, bits: 3, group: 64}}]",
    "scaled": "[{transform: {method: channel_scale, alpha: 0.5}}, "
    "{quantize: {method: rtn, bits: 4, group: 64}}]",
    "turned": "[{transform: {method: hadamard}}, {quantize: {method: rtn, bits: 4, group: 64}}]",
    "nf4double": "[{quantize: {method: rtn, format: nf4, scales: dynamic8}}]",
    "fp4": "[{quantize: {method: rtn, format: fp4, group: tensor}}]",
    "mxfp6": "[{quantize: {method: rtn, format: mxfp6_e3m2, packing: split}}]",
    "mxfp8": "[{quantize: {method: rtn, format: mxfp8_e5m2}}]",
    "mxint8": "[{quantize: {method: rtn, format: mxint8}}]",
    "nvfp4": "[{quantize: {method: rtn, format: nvfp4}}]",
    "ratio": "[{quantize: {method: rtn, format: e3m1, group: 32, scales: ratio}}]",
    "ternary": "[{quantize: {method: rtn, format: ternary, packing: trits}}]",
    "power": "[{quantize: {method: rtn, format: power5, group: channel}}]",
}


def floats(dataset):
    """A dataset's values as f32; bf16 lies in the file as u16."""
    values = dataset[()]
    if dataset.attrs.get("dtype") == "bf16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)


def unpack(packed, bits, count):
    """Rows of codes, each a bit stream, least significant bit first."""
    stream = np.unpackbits(packed, axis=1, bitorder="little")[:, : count * bits]
    digits = stream.reshape(packed.shape[0], count, bits).astype(np.int32)
    return digits @ (1 << np.arange(bits))


def minifloat(name, code):
    exponent, mantissa = int(name[1]), int(name[3])
    bias = 2 ** (exponent - 1) - 1
    e, m = code >> mantissa & 2**exponent - 1, (code & 2**mantissa - 1) / 2**mantissa
    value = (1 + m) * 2.0 ** (e - bias) if e else m * 2.0 ** (1 - bias)
    return -value if code >> exponent + mantissa & 1 else value


def table(codes):
    """The values of a format's codes."""
    name, bits = codes.attrs["format"], int(codes.attrs["bits"])
    if name == "nf4":
        return np.array([
            -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
            -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
            0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
            0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
        ])
    if name == "fp4":
        positive = np.array([0, 0.0625, 8, 12, 4, 6, 2, 3]) / 12
        return np.concatenate([positive, -positive])
    if name == "ternary":
        return np.array([0, 1, -1])
    if name == "fixed8":
        return np.arange(256).astype(np.uint8).view(np.int8) / 64
    if name.startswith("power"):
        n = 2 ** (bits - 1) - 1
        q = np.arange(2 * n + 1) - n
        return np.sign(q) * (np.abs(q) / n) ** (1 / float(codes.attrs["exponent"]))
    return np.array([minifloat(name, code) for code in range(2**bits)])


def dynamic_map():
    values = [0, 1]
    for step in range(7):
        line = np.linspace(0.1, 1, 2**step + 1)
        middles = (line[1:] + line[:-1]) / 2 * 10.0 ** (step - 6)
        values += [*middles, *-middles]
    return np.sort(values)


def table_base(group, path):
    """A base of a table format."""
    codes, stored = group[path + "/codes"], group[path + "/scales"]
    columns, packed = int(codes.attrs["columns"]), codes[()]
    if codes.attrs["packing"] == "split_2_4_rows":
        high = (columns * 2 + 7) // 8
        digits = unpack(packed[:, :high], 2, columns) << 4 | unpack(packed[:, high:], 4, columns)
    elif codes.attrs["packing"] == "base3_rows":
        digits = packed[:, :, None] // 3 ** np.arange(5) % 3
        digits = digits.reshape(len(packed), -1)[:, :columns]
    else:
        digits = unpack(packed, int(codes.attrs["bits"]), columns)
    kind = codes.attrs["scale_format"]
    if kind in ("f32", "f16", "bf16"):
        scales = floats(stored)
    else:
        factors = group[path + "/factors"][()] if path + "/factors" in group else None
        raw = stored[()].astype(np.int64)
        if kind == "e8m0":
            scales = 2.0 ** (raw - 127)
        elif kind == "e4m3":
            scales = np.vectorize(lambda code: minifloat("e4m3", code))(raw) * factors[0]
        elif kind == "ratio":
            scales = factors[:, None] * 2.0**-raw
        else:
            place = np.arange(raw.size).reshape(raw.shape) // 256
            scales = dynamic_map()[raw] * factors[place] + float(codes.attrs["scale_offset"])
    values = table(codes)[digits]
    return values * np.repeat(scales, columns // scales.shape[1], axis=1)


def kept(group, path):
    """Where survivors belong: rows × columns of True and False."""
    if path + "/bitmap" in group:
        bitmap = group[path + "/bitmap"]
        return unpack(bitmap[()], 1, int(bitmap.attrs["columns"])) == 1
    if path + "/patterns" in group:
        numbers = group[path + "/patterns"]
        keep, of, columns = (int(numbers.attrs[name]) for name in ("keep", "of", "columns"))
        words = [word for word in range(2**of) if bin(word).count("1") == keep]
        bits = (len(words) - 1).bit_length()
        chosen = np.array(words)[unpack(numbers[()], bits, columns // of)]
        return (chosen[:, :, None] >> np.arange(of) & 1).reshape(len(chosen), columns) == 1
    gaps, counts = group[path + "/gaps"], group[path + "/counts"][()]
    result = np.zeros((int(gaps.attrs["rows"]), int(gaps.attrs["columns"])), bool)
    steps = iter(gaps[()])
    for row, count in enumerate(counts):
        column = 0
        while count > 0:
            step = int(next(steps))
            column += step
            if step < 255:
                result[row, column] = True
                column, count = column + 1, count - 1
    return result


def survivors(group, path):
    """A base of which only what its mask keeps is stored."""
    stored, mask = group[path + "/survivors"], kept(group, path + "/kept")
    result = np.zeros(mask.shape, np.float32)
    if "bits" not in stored.attrs:
        result[mask] = floats(stored)
        return result
    bits = int(stored.attrs["bits"])
    assert stored.attrs["packing"] == "lsb_first_stream"
    codes = unpack(stored[()].reshape(1, -1), bits, int(mask.sum()))[0]
    scales, zeros = grid(group, path, stored, mask.shape[1])
    width = mask.shape[1] // scales.shape[1]
    whole = [np.broadcast_to(np.repeat(part, width, axis=1), mask.shape)[mask]
             for part in (scales, zeros)]
    result[mask] = (codes - whole[1]).astype(np.float32) * whole[0]
    return result


def grid(group, path, codes, columns):
    """Scales and zero points."""
    bits = int(codes.attrs["bits"])
    scales = floats(group[path + "/scales"])
    if int(codes.attrs["symmetric"]):
        return scales, np.full(scales.shape, 1 << (bits - 1))
    return scales, unpack(group[path + "/zeros"][()], bits, scales.shape[1])


def base(group, path):
    if path + "/values" in group:
        return floats(group[path + "/values"])
    if path + "/survivors" in group:
        return survivors(group, path)
    codes = group[path + "/codes"]
    if "format" in codes.attrs:
        return table_base(group, path)
    bits, columns = int(codes.attrs["bits"]), int(codes.attrs["columns"])
    assert codes.attrs["packing"] == "lsb_first_rows"
    values = unpack(codes[()], bits, columns)
    scales, zeros = grid(group, path, codes, columns)
    granularity = codes.attrs["granularity"]
    expected = {
        "tensor": (1, 1), "channel": (len(values), 1),
        "group": (len(values), columns // int(codes.attrs.get("group", columns))),
    }[granularity]
    assert scales.shape == expected, (granularity, scales.shape)
    width = columns // scales.shape[1]
    return (values - np.repeat(zeros, width, axis=1)).astype(np.float32) * np.repeat(
        scales, width, axis=1
    )


def paley(order):
    """A Hadamard matrix of an order that is no power of two, by the page's rule."""
    def is_prime(number):
        return number > 1 and all(number % d for d in range(2, int(number**0.5) + 1))

    first = is_prime(order - 1)
    q = order - 1 if first else order // 2 - 1
    squares = {i * i % q for i in range(1, q)}
    core = np.zeros((q + 1, q + 1), int)
    core[0, 1:] = 1
    core[1:, 0] = -1 if first else 1
    for i in range(q):
        for j in range(q):
            core[i + 1, j + 1] = 0 if i == j else 1 if (i - j) % q in squares else -1
    if first:
        return core + np.eye(order, dtype=int)
    return np.kron(core, [[1, 1], [1, -1]]) + np.kron(np.eye(q + 1, dtype=int), [[1, -1], [-1, -1]])


def rotation(signs, factor, power):
    """Q of x·Q."""
    matrix = np.ones((1, 1))
    while len(matrix) < power:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    if factor > 1:
        matrix = np.kron(paley(factor), matrix)
    blocks = len(signs) // len(matrix)
    whole = np.kron(np.eye(blocks), matrix) / np.sqrt(factor * power)
    return signs.astype(np.float64)[:, None] * whole


def decode(group):
    """A weight's out × in matrix as the sum of its parts, seen by the untransformed input."""
    shape = [int(extent) for extent in np.atleast_1d(group.attrs["source_shape"])]
    layout = group.attrs["source_layout"]
    assert int(group.attrs["weight_version"]) in (1, 2) and "source_dtype" in group.attrs
    weight = base(group, "base") if "base" in group else None
    if "mask" in group:
        bitmap = group["mask/bitmap"]
        weight = weight * unpack(bitmap[()], 1, int(bitmap.attrs["columns"]))
    if "outliers" in group:
        weight[:, group["outliers/columns"][()]] += floats(group["outliers/values"])
    if "low_rank" in group:
        scales = np.atleast_1d(group.attrs["low_rank_scales"])
        for index, scale in enumerate(scales):
            b, a = (base(group, f"low_rank/{index}/{side}") for side in "ba")
            if f"low_rank/{index}/sigma" in group:
                b = b * group[f"low_rank/{index}/sigma"][()]
            path = np.float32(scale) * (b @ a)
            weight = path if weight is None else weight + path
    kinds = [str(kind) for kind in np.atleast_1d(group.attrs.get("transforms", []))]
    for index, kind in reversed(list(enumerate(kinds))):
        payload = group[f"site/{index}/{kind}"][()]
        if kind == "scale":
            weight = weight / payload
        elif kind == "hadamard":
            attributes = group[f"site/{index}/{kind}"].attrs
            turn = rotation(payload, int(attributes["factor"]), int(attributes["power"]))
            weight = (weight.astype(np.float64) @ turn.T).astype(np.float32)
        else:
            weight = weight[:, np.argsort(payload)]
    if layout == "outputs_first":
        return weight.reshape(shape)
    return weight.T.reshape(shape)


def check_hashes(file):
    count = 0

    def visit(path, item):
        nonlocal count
        if isinstance(item, h5py.Dataset):
            count += 1
            found = hashlib.sha256(item[()].tobytes()).hexdigest()
            assert found == item.attrs["sha256"], path

    file.visititems(visit)
    return count


def run(*arguments):
    result = subprocess.run(arguments, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(arguments)}:\n{result.stderr}")


def example(artefact):
    """The page's example, with its names of a file and a weight replaced; its `weight`."""
    folder = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(folder, "../../docs/artefact-format.md")) as page:
        code = re.search(r"```python\n(.*?)```", page.read(), re.S).group(1)
    found = {}
    exec(code.replace('"small.h5"', repr(artefact)), found)
    return found["weight"]


def main(pith, model):
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, stages in STAGES.items():
            recipe, artefact = f"{folder}/{name}.yaml", f"{folder}/{name}.h5"
            dense = f"{folder}/{name}-dense.h5"
            with open(recipe, "w") as file:
                file.write(f"version: 1\nname: {name}\nstages: {stages}\n")
            run(pith, "compress", recipe, "--model", model, "--output", artefact)
            run(pith, "decompress", artefact, dense)
            with h5py.File(artefact) as file, h5py.File(dense) as expected:
                assert file.attrs["format"] == "pith-artefact"
                assert int(file.attrs["format_version"]) == 1
                names = json.loads(file.attrs["tensor_names"])
                datasets = check_hashes(file)
                worst, weights = 0.0, 0
                for tensor in names:
                    link = tensor.replace("%", "%25").replace("/", "%2F")
                    target = expected[tensor][()].astype(np.float64)
                    if link in file["weights"]:
                        weights += 1
                        found = decode(file["weights"][link])
                        # f32 sums in another order, no more.
                        limit = 2e-6 * max(np.abs(target).max(), 1e-30)
                    else:
                        found, limit = floats(file["tensors"][link]), 0
                    difference = np.abs(found - target).max(initial=0)
                    worst = max(worst, difference)
                    if found.shape != target.shape or not difference <= limit:
                        print(f"{name}: '{tensor}' differs by {difference}")
                        failures += 1
                print(f"{name}: {weights} weights, {datasets} datasets, largest difference {worst:.1e}")
                if name == "int4":
                    tensor = "model.layers.0.mlp.down_proj.weight"
                    if not np.array_equal(example(artefact), expected[tensor][()]):
                        print("the example of docs/artefact-format.md gives other numbers")
                        failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
