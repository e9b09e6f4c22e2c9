#!/usr/bin/env python3
"""Checks `pith convert` with h5py and safetensors: convert_roundtrip.py PITH MODEL [MODEL ...]

MODEL is a folder with safetensors, or an .h5 or .safetensors file. It is converted to HDF5, that
to a folder, and that to one safetensors file. After each step every tensor is compared bit for
bit with the original as Python's own libraries read it.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy
    import safetensors
except ImportError as error:
    print(f"skipped: {error}; pip install h5py numpy safetensors")
    sys.exit(77)

NUMPY_NAMES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint64": "U64", "uint32": "U32", "uint16": "U16",
    "uint8": "U8", "bool": "BOOL",
}
# Types that HDF5 lacks are unsigned integers with an attribute `dtype`.
ATTRIBUTE_NAMES = {"bf16": "BF16", "f8e4m3": "F8_E4M3", "f8e5m2": "F8_E5M2", "bool": "BOOL"}


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def read_safetensors(path):
    """{name: (dtype, shape, bytes)} and __metadata__ of one file."""
    content = path.read_bytes()
    tensors = {
        name: (info["dtype"], list(info["shape"]), bytes(info["data"]))
        for name, info in safetensors.deserialize(content)
    }
    header = json.loads(content[8:8 + int.from_bytes(content[:8], "little")])
    return tensors, header.get("__metadata__", {})


def read_hdf5(path):
    """{name: (dtype, shape, bytes)} and the root's texts."""
    tensors = {}

    def take(name, node):
        if not isinstance(node, h5py.Dataset) or node.dtype.kind not in "fiub":
            return
        values = numpy.asarray(node[()])
        values = values.astype(values.dtype.newbyteorder("<"))
        dtype = NUMPY_NAMES[node.dtype.newbyteorder("=").name]
        named = text(node.attrs.get("dtype", ""))
        dtype = ATTRIBUTE_NAMES.get(named, dtype)
        tensors[name] = (dtype, list(node.shape), values.tobytes())

    def take_links(group, prefix):
        # visititems shows a dataset with two names once; tied weights must count twice.
        for name in group:
            node = group[name]
            if isinstance(node, h5py.Group):
                take_links(node, prefix + name + "/")
            else:
                take(prefix + name, node)

    with h5py.File(path, "r") as file:
        take_links(file, "")
        texts = {
            name: text(value) for name, value in file.attrs.items()
            if isinstance(value, (str, bytes))
        }
    return tensors, texts


def read_model(path):
    if path.is_file():
        return read_safetensors(path) if path.suffix == ".safetensors" else read_hdf5(path)
    shards = sorted(path.glob("*.safetensors"))
    if path / "model.safetensors" in shards:
        shards = [path / "model.safetensors"]
    if not shards:
        return read_hdf5(path / "model.h5")
    tensors, metadata = {}, {}
    for shard in shards:
        more, texts = read_safetensors(shard)
        tensors.update(more)
        metadata.update(texts)
    return tensors, metadata


def differences(step, found, expected):
    """Sentences; empty when the tensors are the same."""
    for name in sorted(expected.keys() - found.keys()):
        yield f"{step}: tensor '{name}' is missing"
    for name in sorted(found.keys() - expected.keys()):
        yield f"{step}: tensor '{name}' was not in the model"
    for name in sorted(expected.keys() & found.keys()):
        for what, new, old in zip(("dtype", "shape", "bytes"), found[name], expected[name]):
            if new != old:
                shown = "" if what == "bytes" else f": {new} instead of {old}"
                yield f"{step}: tensor '{name}' differs in its {what}{shown}"


def check(pith, model, folder):
    def convert(source, target):
        run = subprocess.run([pith, "convert", source, target], capture_output=True, text=True)
        if run.returncode != 0:
            raise SystemExit(f"{source} to {target}: exit {run.returncode}: {run.stderr.strip()}")

    tensors, metadata = read_model(model)
    companions = {}
    if model.is_dir():
        companions = {
            path.name: path.read_bytes() for path in model.iterdir()
            if path.suffix in (".json", ".txt") and "index" not in path.name}

    convert(model, folder / "model.h5")
    found, texts = read_hdf5(folder / "model.h5")
    yield from differences("HDF5", found, tensors)
    for key, value in metadata.items():
        if texts.get(key) != value:
            yield f"HDF5: the metadata '{key}' differs"

    convert(folder / "model.h5", folder / "back")
    found, texts = read_model(folder / "back")
    yield from differences("folder", found, tensors)
    if texts != metadata:
        yield f"folder: __metadata__ is {sorted(texts)}, not {sorted(metadata)}, or differs in text"
    for name, content in companions.items():
        if not (folder / "back" / name).is_file():
            yield f"folder: {name} is missing"
        elif (folder / "back" / name).read_bytes() != content:
            yield f"folder: {name} differs"

    convert(folder / "back", folder / "one.safetensors")
    found, texts = read_safetensors(folder / "one.safetensors")
    yield from differences("safetensors", found, tensors)
    if not tensors:
        yield "the model holds no tensors: nothing was compared"


def main(arguments):
    if len(arguments) < 2:
        raise SystemExit(__doc__)
    pith, models = shutil.which(arguments[0]), [pathlib.Path(path) for path in arguments[1:]]
    if pith is None:
        print(f"skipped: there is no program {arguments[0]}; build it first")
        return 77
    problems = 0
    for model in models:
        if not model.exists():
            print(f"skipped: there is no model {model}")
            return 77
        with tempfile.TemporaryDirectory() as folder:
            found = list(check(pith, model, pathlib.Path(folder)))
        print("\n".join(f"{model}: {line}" for line in found) or f"{model}: the same bits")
        problems += len(found)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
