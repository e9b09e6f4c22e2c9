"""GPTQ as its paper and first code have it, in PyTorch: the peer for speed and for errors.

Written from the description (arXiv 2210.17323): damping of 1 % of the mean diagonal, three
factorizations (Cholesky, inverse, Cholesky of the inverse), columns in blocks of 128, groups with
asymmetric grids fitted when they are reached; with act-order, static groups fitted before.

Usage: gptq_reference.py speed ORDER THREADS
         a random ORDER x ORDER weight, 4 bits g128: wall and processor seconds of both settings
       gptq_reference.py errors WEIGHTS STATISTICS BITS GROUP RESULT...
         WEIGHTS and RESULTs are safetensors files (of `pith decompress`), STATISTICS a file of
         `pith calibrate`: tr(DHD')/tr(WHW') of every layer with statistics, as means and as ratios
         to this reference's plain and best (act-order, static groups, searched grids)
"""

import resource
import sys
import time

import torch


def grid(w, bits, search):
    """Scale and zero per row; `search` shrinks the range over 80 steps for the least |e|^2.4."""
    top = 2**bits - 1
    low, high = w.amin(1).clamp(max=0), w.amax(1).clamp(min=0)
    empty = low == high
    low[empty], high[empty] = -1, 1
    scale = (high - low) / top
    zero = torch.round(-low / scale)
    if search:
        best = torch.full_like(low, torch.inf)
        for step in range(80):
            s = (high - low) * (1 - step / 100) / top
            z = torch.round(-low * (1 - step / 100) / s)
            error = (nearest(w, s[:, None], z[:, None], top) - w).abs().pow_(2.4).sum(1)
            better = error < best
            best[better], scale[better], zero[better] = error[better], s[better], z[better]
    return scale[:, None], zero[:, None]


def nearest(w, scale, zero, top):
    return scale * (torch.clamp(torch.round(w / scale) + zero, 0, top) - zero)


def gptq(weight, gram, bits, group, order=False, search=False, damping=0.01, block=128):
    w, h = weight.clone(), gram.clone()
    columns, top = w.shape[1], 2**bits - 1
    dead = h.diagonal() == 0
    h[dead, dead] = 1
    w[:, dead] = 0
    static = []
    if order:
        static = [grid(w[:, i : i + group], bits, search) for i in range(0, columns, group)]
        perm = torch.argsort(h.diagonal(), descending=True)
        w, h = w[:, perm], h[perm][:, perm]
    h.diagonal().add_(damping * h.diagonal().mean())
    h = torch.linalg.cholesky(h)
    h = torch.cholesky_inverse(h)
    u = torch.linalg.cholesky(h, upper=True)
    q = torch.zeros_like(w)
    for first in range(0, columns, block):
        last = min(first + block, columns)
        w1, u1 = w[:, first:last].clone(), u[first:last, first:last]
        errors = torch.zeros_like(w1)
        for i in range(last - first):
            column = w1[:, i]
            if order:
                scale, zero = static[perm[first + i] // group]
            elif (first + i) % group == 0:
                scale, zero = grid(w[:, first + i : first + i + group], bits, search)
            value = nearest(column[:, None], scale, zero, top).flatten()
            q[:, first + i] = value
            error = (column - value) / u1[i, i]
            w1[:, i:] -= error[:, None] @ u1[i, i:][None]
            errors[:, i] = error
        w[:, last:] -= errors @ u[first:last, last:]
    return q[:, torch.argsort(perm)] if order else q


def relative(q, weight, gram):
    d, w, h = (q - weight).double(), weight.double(), gram.double()
    return ((d @ h) * d).sum().item() / ((w @ h) * w).sum().item()


def seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def speed(order, threads):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    w, x = torch.randn(order, order), torch.randn(2 * order, order)
    h = x.T @ x
    for name, kind in (("plain", {}), ("best", {"order": True, "search": True})):
        start, before = time.time(), seconds()
        gptq(w, h, 4, 128, **kind)
        print(f"{name} {time.time() - start:.3f} {seconds() - before:.3f}", flush=True)


def errors(weights, statistics, bits, group, results):
    import h5py
    from safetensors.torch import load_file

    torch.set_num_threads(1)
    tensors = load_file(weights)
    others = [load_file(path) for path in results]
    sums = {name: 0.0 for name in ("plain", "best", *results)}
    ratios = {path: [] for path in results}
    names = []
    with h5py.File(statistics) as file:
        for site in file["sites"].values():
            gram = torch.from_numpy(site["gram"][()]).double()
            for reader in list(site.attrs.get("readers", [site.name.split("/")[-1]])):
                name = (reader.decode() if isinstance(reader, bytes) else reader) + ".weight"
                if name not in tensors or name.startswith("lm_head"):
                    continue
                weight = tensors[name].float()
                size = group if weight.shape[1] % group == 0 else 64
                plain = relative(gptq(weight, gram.float(), bits, size), weight, gram)
                best = relative(
                    gptq(weight, gram.float(), bits, size, order=True, search=True), weight, gram)
                sums["plain"] += plain
                sums["best"] += best
                for path, other in zip(results, others):
                    found = relative(other[name].float(), weight, gram)
                    sums[path] += found
                    ratios[path].append((found / plain, found / best))
                names.append(name)
    count = max(len(next(iter(ratios.values()), [])), 1)
    print(f"{count} layers, {bits} bits g{group}: mean error of the reference, plain "
          f"{sums['plain'] / count:.6f}, best {sums['best'] / count:.6f}")
    for path in results:
        pairs = torch.tensor(ratios[path])
        means = ", ".join(
            f"{name} mean {pairs[:, i].mean():.3f} largest {pairs[:, i].max():.3f}"
            for i, name in enumerate(("to plain", "to best")))
        print(f"  {path}: {sums[path] / count:.6f}; layers' ratios {means}")
        if count <= 8:
            for name, pair in zip(names, ratios[path]):
                print(f"    {name}: to plain {pair[0]:.3f}, to best {pair[1]:.3f}")


if __name__ == "__main__":
    if sys.argv[1] == "speed":
        speed(int(sys.argv[2]), int(sys.argv[3]))
    else:
        errors(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), sys.argv[6:])
