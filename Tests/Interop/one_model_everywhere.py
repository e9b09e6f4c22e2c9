#!/usr/bin/env python3
"""One model through the formats, and the same perplexity everywhere.

    python3 Tests/Interop/one_model_everywhere.py PITH [MODEL TEXT]

MODEL is a Llama folder, TEXT a text it is scored on; without them $PITH_SHARED/models/tinyllama and
$PITH_SHARED/text/heldout.txt, else fixtures/nanollama and fixtures/text. The model is quantized to
4 bits by GPTQ and exported: as compressed-tensors, whose perplexity by transformers is Pith's to
1e-4; as GGUF, whose perplexity by llama.cpp is Pith's within its printed error; as GPTQ v2, decoded
by numpy bit for bit. Then PiSSA as a PEFT adapter (peft_roundtrip.py) and a Keras model's weights
rewritten and loaded (keras_weights.py). LLAMA_BIN names the folder of llama-perplexity; without it
llama-cpp-python scores the same windows. What is missing is skipped with the reason.
Exit codes: 0 good, 1 a difference, 77 numpy, h5py or safetensors is missing.
"""
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version

try:
    import h5py  # noqa: F401, for interop
    import numpy as np
    from safetensors.numpy import load_file
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

import interop
from export_formats import gptq
from interop import check

HERE = pathlib.Path(__file__).parent
WINDOWS = int(os.environ.get("WINDOWS", "64"))


def package(name):
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return name


def perplexity(losses):
    return math.exp(float(np.mean(losses)))


def by_program(program, model, text, length):
    """llama-perplexity's figure and its error."""
    done = subprocess.run(
        [program, "-m", model, "-f", text, "-c", str(length), "-b", str(length),
         "--chunks", str(WINDOWS), "-t", "1"], capture_output=True, text=True)
    found = re.search(r"PPL = ([\d.]+) \+/- ([\d.]+)", done.stdout + done.stderr)
    if not found:
        raise OSError((done.stdout + done.stderr)[-400:])
    build = re.search(r"build: (\d+ \(\w+\))", done.stdout + done.stderr)
    return float(found[1]), float(found[2]), f"llama-perplexity, build {build[1] if build else '?'}"


def by_package(model, windows):
    """The same windows and tokens through llama-cpp-python."""
    import llama_cpp
    length = windows.shape[1]
    llama = llama_cpp.Llama(model, n_ctx=length, n_batch=length, logits_all=True, verbose=False)
    losses = []
    for window in windows:
        llama.reset()
        llama.eval(window.tolist())
        scores = np.array(llama.scores[:length], dtype=np.float64)
        scores -= scores.max(-1, keepdims=True)
        log = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
        losses.append([-log[i, window[i + 1]] for i in range(length // 2, length - 1)])
    losses = np.array(losses).ravel()
    error = losses.std(ddof=1) / math.sqrt(len(losses)) * perplexity(losses)
    return perplexity(losses), error, package("llama-cpp-python")


def main(pith, model, text):
    run = interop.pith(pith)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "w4.yaml").write_text(
            "version: 1\nname: w4\nstages:\n  - quantize: {method: gptq, bits: 4, group: 32}\n")
        artefact, dense = folder / "w4.h5", folder / "dense"
        run("compress", folder / "w4.yaml", "--model", model, "--output", artefact)
        run("decompress", artefact, dense)
        outputs = {form: folder / form for form in ("compressed-tensors", "gptq-v2", "gguf")}
        outputs["gguf"] = folder / "model.gguf"
        for form, output in outputs.items():
            run("export", artefact, "--format", form, "--output", output)

        # Consecutive windows of the whole context, as llama-perplexity cuts them: with a beginning
        # token where the model's tokenizer has one.
        length = min(json.loads((pathlib.Path(model) / "config.json").read_text())
                     ["max_position_embeddings"], 512)
        short = folder / "text.txt"
        body = pathlib.Path(text).read_text(encoding="utf-8")
        short.write_text(body[:WINDOWS * length * 8], encoding="utf-8")
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            print(f"skipped: {error}")
            sys.exit(77)
        tokenizer = Tokenizer.from_file(str(pathlib.Path(model) / "tokenizer.json"))
        tokens = tokenizer.encode(short.read_text(encoding="utf-8")).ids
        plain = tokenizer.encode("a", add_special_tokens=False).ids
        begins = tokenizer.encode("a").ids[:1] != plain[:1]
        count = min(WINDOWS, len(tokens) // length)
        windows = np.array(tokens[:count * length], dtype=np.int32).reshape(count, length)
        if begins:
            windows[:, 0] = tokens[0]
        ours = interop.pith_losses(run, artefact, windows, folder)
        title = f"{pathlib.Path(model).name}, {count} windows of {length} tokens"

        try:
            found = interop.losses(interop.model(outputs["compressed-tensors"]), windows)
            (a, b) = perplexity(ours), perplexity(found)
            check(abs(a - b) < 1e-4 * a and np.abs(found - ours).max() < 1e-2,
                  f"{title}: W4 GPTQ → compressed-tensors: perplexity {b:.5f} by "
                  f"{package('transformers')} with {package('compressed-tensors')}, {a:.5f} by Pith")
        except ImportError as error:
            print(f"skip  compressed-tensors → transformers: {error}")

        try:
            program = pathlib.Path(os.environ.get("LLAMA_BIN", "")) / "llama-perplexity"
            if "LLAMA_BIN" in os.environ and program.exists():
                found, error, what = by_program(program, outputs["gguf"], short, length)
            else:
                found, error, what = by_package(str(outputs["gguf"]), windows)
            # It scores the second half of a window.
            a = perplexity(ours[:, length // 2:])
            check(abs(found - a) < error,
                  f"{title}: W4 GPTQ → GGUF: perplexity {found:.4f} ± {error:.4f} of the second "
                  f"halves by {what}, {a:.4f} by Pith")
        except (ImportError, OSError) as error:
            print(f"skip  GGUF → llama.cpp: {error}")

        target = outputs["gptq-v2"]
        tensors, expected = (load_file(f / "model.safetensors") for f in (target, dense))
        config = json.loads((target / "config.json").read_text())["quantization_config"]
        modules = [n[:-len(".qweight")] for n in tensors if n.endswith(".qweight")]
        check(modules and all(np.array_equal(gptq(tensors, m, config), expected[m + ".weight"])
                              for m in modules),
              f"{title}: W4 GPTQ → GPTQ v2: {len(modules)} weights decoded by numpy, bit for bit")

    for script, arguments in (("peft_roundtrip.py", [model]), ("keras_weights.py", [])):
        done = subprocess.run([sys.executable, HERE / script, pith, *map(str, arguments)],
                              capture_output=True, text=True)
        said = (done.stdout + done.stderr).strip()
        if done.returncode == 77:
            print(f"skip  {script}: {said}")
        else:
            check(done.returncode == 0, f"{script}:\n        " + said.replace("\n", "\n        "))
    interop.finish()


def defaults():
    shared = os.environ.get("PITH_SHARED")
    if shared:
        return f"{shared}/models/tinyllama", f"{shared}/text/heldout.txt"
    root = HERE.parent.parent / "fixtures"
    return root / "nanollama", root / "text" / "heldout_publicdomain.txt"


if __name__ == "__main__":
    if len(sys.argv) not in (2, 4):
        print(__doc__)
        sys.exit(2)
    main(sys.argv[1], *(sys.argv[2:] or defaults()))
