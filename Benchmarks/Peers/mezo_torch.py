"""Times a step of MeZO on a dense model in PyTorch against a step of `pith finetune`, taking turns.

    python mezo_torch.py --pith .build/release/pith --model smollm2 --artefact smol-w4.h5 \
        --data text.txt [--task lm|options] [--batch 16] [--length 64] [--rounds 2] [--threads 1]

MeZO after the paper's algorithm 1 (arXiv 2305.17333): one seed a step; the parameters are moved in
place by +eps z, -2 eps z, +eps z, each z drawn again from the seed, a forward pass behind the first
two; then theta -= lr * d * z. Eager PyTorch in f32, no gradients, next-token loss of the same
windows, or the choice between two tokens after them, from the logits as the model's class makes
them. `pith finetune` runs on the artefact of the same model with the same objective, texts cut to
about as many tokens; a step of it is what N steps take less what one takes, divided by N - 1, so
that opening, calibration and writing do not count. Processor time of the children and of this
process, and the wall's clock beside it.
"""

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time


def used(who):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


class MeZO:
    def __init__(self, model, learning_rate=1e-7, epsilon=1e-3):
        self.model = model
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.learning_rate = learning_rate
        self.epsilon = epsilon

    def move(self, torch, seed, scale):
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters:
            z = torch.normal(
                0.0, 1.0, size=parameter.shape, dtype=parameter.dtype, generator=generator)
            parameter.data.add_(z, alpha=scale)

    def loss(self, torch, batch, options):
        if not options:
            return self.model(input_ids=batch, labels=batch).loss.item()
        logits = self.model(input_ids=batch).logits[:, -1, options]
        return -torch.log_softmax(logits, -1)[:, 0].mean().item()

    def step(self, torch, batch, seed, options=None):
        with torch.inference_mode():
            self.move(torch, seed, self.epsilon)
            plus = self.loss(torch, batch, options)
            self.move(torch, seed, -2 * self.epsilon)
            minus = self.loss(torch, batch, options)
            self.move(torch, seed, self.epsilon)
            slope = (plus - minus) / (2 * self.epsilon)
            self.move(torch, seed, -self.learning_rate * slope)
        return plus, minus


def pith(arguments, steps):
    with tempfile.TemporaryDirectory() as folder:
        if arguments.task == "lm":
            task = ["--objective", "lm", "--data", arguments.data, "--windows", "64",
                    "--length", str(arguments.length)]
        else:
            # Long enough to be cut; " It was" comes on top of the text's tokens.
            words = open(arguments.data).read(400_000).split()
            with open(folder + "/records.jsonl", "w") as file:
                for index in range(64):
                    text = " ".join(words[index * 80:(index + 1) * 80])
                    file.write(json.dumps({"text": text, "label": index % 2}) + "\n")
            task = ["--objective", "options", "--data", folder + "/records.jsonl",
                    "--template", "{text} It was{ terrible| great}",
                    "--max-text-tokens", str(arguments.length - 2)]
        command = [
            arguments.pith, "finetune", arguments.artefact, *task,
            "--held-out-count", "1", "--batch", str(arguments.batch),
            "--epsilon", "0.01", "--learning-rate", "1e-6", "--clip", "none",
            "--steps", str(steps), "--evaluate-every", "1000000",
            "--workers", str(arguments.threads), "--output", folder + "/tuned.h5",
        ]
        before, clock = used(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return used(resource.RUSAGE_CHILDREN) - before, time.monotonic() - clock


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--pith", "--model", "--artefact", "--data"):
        parser.add_argument(name, required=True)
    for name, value in (("batch", 16), ("length", 64), ("rounds", 2), ("threads", 1), ("steps", 4)):
        parser.add_argument("--" + name, type=int, default=value)
    parser.add_argument("--task", choices=("lm", "options"), default="lm")
    arguments = parser.parse_args()

    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(arguments.threads)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
    text = open(arguments.data).read(400_000)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    ids = tokenizer(text)["input_ids"]
    options = None
    if arguments.task == "options":
        options = [tokenizer(word)["input_ids"][0] for word in (" terrible", " great")]
    count = arguments.batch * arguments.length
    mezo = MeZO(model)

    def batch(index):
        start = index * count % (len(ids) - count)
        return torch.tensor(ids[start:start + count]).view(arguments.batch, arguments.length)

    mezo.step(torch, batch(0), 0, options)  # warms up
    for number in range(1, arguments.rounds + 1):
        before, clock = used(resource.RUSAGE_SELF), time.monotonic()
        mezo.step(torch, batch(number), number, options)
        own, wall = used(resource.RUSAGE_SELF) - before, time.monotonic() - clock
        one, many = pith(arguments, 1), pith(arguments, arguments.steps)
        step = [(b - a) / (arguments.steps - 1) for a, b in zip(one, many)]
        print(
            f"round {number}: MeZO {own:.2f} s ({wall:.2f} s wall), "
            f"pith {step[0]:.2f} s ({step[1]:.2f} s wall), ratio {step[0] / own:.3f}", flush=True)


if __name__ == "__main__":
    main()
