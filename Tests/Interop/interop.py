"""What the scripts of this folder share: telling what agrees, running pith, loading models."""
import json
import subprocess
import sys

problems = []


def check(good, sentence):
    print(("ok    " if good else "WRONG ") + sentence, flush=True)
    if not good:
        problems.append(sentence)


def finish():
    sys.exit(1 if problems else 0)


def pith(program):
    """A function that runs the program, and ends the script where it fails."""
    def run(*arguments):
        done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"pith {' '.join(map(str, arguments))}\n{done.stderr}")
        return done
    return run


def model(folder, **options):
    """A model of transformers in f32."""
    import torch
    from transformers import AutoModelForCausalLM
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options).eval()


def logits(loaded, ids):
    import torch
    with torch.no_grad():
        return loaded(torch.tensor([ids])).logits[0].numpy()


def distance(found, wanted):
    """The largest difference, in parts of the largest value."""
    return abs(found - wanted).max() / abs(wanted).max()


def quantized(folder, load_file, marker):
    """An exported folder's tensors, its quantization_config and its modules: the names before a
    marker such as ".qweight"."""
    tensors = load_file(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())["quantization_config"]
    return tensors, config, [n[:-len(marker)] for n in tensors if n.endswith(marker)]


def decompressed(tensors, module, group):
    """A module's weight in f32 by compressed-tensors' own decompressor of the group's format."""
    import torch
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationScheme
    state = {name[len(module) + 1:]: torch.as_tensor(value) for name, value in tensors.items()
             if name.startswith(module + ".") and not name.endswith(".bias")}
    # It works in the scales' type; here weights are f32.
    if state["weight_scale"].dtype in (torch.float16, torch.bfloat16):
        state["weight_scale"] = state["weight_scale"].float()
    compressor = BaseCompressor.get_value_from_registry(group["format"])
    return compressor.decompress(state, QuantizationScheme(**group))["weight"].float()


def losses(loaded, windows, cache=None):
    """−log p of every token of every window but its first.

    `cache` makes a cache of keys and values for each batch.
    """
    import numpy as np
    import torch
    ids = torch.from_numpy(windows.astype("int64"))
    result = []
    with torch.no_grad():
        for first in range(0, len(ids), 8):
            part = ids[first:first + 8]
            options = {"past_key_values": cache()} if cache else {}
            log = torch.log_softmax(loaded(part, **options).logits.double(), -1)[:, :-1]
            result.append(-log.gather(-1, part[:, 1:, None])[..., 0].numpy())
    return np.concatenate(result)


def pith_losses(run, path, windows, folder):
    """The same by Pith."""
    import h5py
    with h5py.File(folder / "windows.h5", "w") as file:
        file["window_ids"] = windows
    run("evaluate", "--model", path, "--data", folder / "windows.h5", "--save-reference",
        folder / "scores.h5", "--top-k", "1", "--sequences", len(windows), "--force")
    with h5py.File(folder / "scores.h5") as file:
        return -file["target_log_probabilities"][()].reshape(len(windows), -1)
