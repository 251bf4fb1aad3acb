# SPDX-License-Identifier: Apache-2.0
"""Kernels beside their peers, on the same bytes' worth of work, and the table of bench/results.

    python bench/bench_peers.py BUILD [ROUNDS]

BUILD is a release build (meson setup --buildtype release) with bench_kernel in it; needs numpy, gguf and, for
its rows, torch (PyPI). Every round runs the kernels once, then each peer; a ratio is taken within its round.
numpy and torch compute what pair_stats does: five sums, the largest difference, equal and sign counts, NaN
and infinity counts, both as one would write it at a prompt; "numpy in pieces" goes 65536 elements at a time, to
stay in the cache. Rates are of bytes read: by the clock, all cores, and per second of CPU time.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np

try:
    import torch
except ImportError:
    torch = None

HERE = Path(__file__).parent
RESULTS = HERE / "results"
MIB = 64
PIECE = 65536
BEGIN, END = "<!-- kernel -->\n", "<!-- /kernel -->\n"
Rate = tuple[float, float]  # GB/s by the clock, GB/s by CPU time


def numpy_pair(x: np.ndarray, y: np.ndarray) -> list[float]:
    a = (x.astype(np.uint32) << 16).view(np.float32)
    b = (y.astype(np.uint32) << 16).view(np.float32)
    d = b - a
    step = (a.view(np.uint32) & 0x7F800000).view(np.float32)
    both = (a != 0) & (b != 0)
    nan_a, nan_b = np.isnan(a), np.isnan(b)
    return [
        np.dot(a, a), np.dot(b, b), np.dot(a, b), np.dot(d, d), np.dot(step, step), np.abs(d).max(),
        np.count_nonzero((a == b) | (nan_a & nan_b)), np.count_nonzero(both),
        np.count_nonzero(both & (np.signbit(a) == np.signbit(b))), np.count_nonzero(nan_a),
        np.count_nonzero(nan_b), np.count_nonzero(np.isinf(a)), np.count_nonzero(np.isinf(b)),
    ]  # fmt: skip


def numpy_in_pieces(x: np.ndarray, y: np.ndarray) -> None:
    for i in range(0, x.size, PIECE):
        numpy_pair(x[i : i + PIECE], y[i : i + PIECE])


def torch_pair(x: np.ndarray, y: np.ndarray) -> None:
    a = torch.from_numpy(x.view(np.int16)).view(torch.bfloat16).float()
    b = torch.from_numpy(y.view(np.int16)).view(torch.bfloat16).float()
    d = b - a
    step = (a.view(torch.int32) & 0x7F800000).view(torch.float32)
    both = (a != 0) & (b != 0)
    [
        a.square().sum(), b.square().sum(), (a * b).sum(), d.square().sum(), d.abs().max(),
        step.square().sum(), (a == b).sum(), both.sum(),
        (both & (torch.signbit(a) == torch.signbit(b))).sum(), a.isnan().sum(), b.isnan().sum(),
        a.isinf().sum(), b.isinf().sum(),
    ]  # fmt: skip


def timed(work: Callable[[], object], size: int) -> Rate:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return size / (time.perf_counter() - wall) / 1e9, size / (time.process_time() - cpu) / 1e9


def make_peers() -> dict[str, tuple[str, Callable[[], Rate]]]:
    """Peer name: the kernel that it is compared with, and one measurement."""
    rng = np.random.default_rng(1)
    x = rng.integers(0x3B80, 0x3D7F, MIB << 19, dtype=np.uint16)
    y = x + (rng.integers(0, 8, x.size) == 0).astype(np.uint16)
    size = x.nbytes + y.nbytes
    peers = {
        "numpy": ("pair_bf16", lambda: timed(lambda: numpy_pair(x, y), size)),
        "numpy in pieces": ("pair_bf16", lambda: timed(lambda: numpy_in_pieces(x, y), size)),
    }
    if torch:
        peers["torch"] = ("pair_bf16", lambda: timed(lambda: torch_pair(x, y), size))
    for name in ("Q8_0", "Q4_K", "Q6_K"):
        kind = getattr(gguf.GGMLQuantizationType, name)
        stored = rng.integers(0, 60, (16384, gguf.GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
        peers[f"gguf {name}"] = (
            f"read_{name}",
            lambda stored=stored, kind=kind: timed(
                lambda: gguf.quants.dequantize(stored, kind), stored.nbytes
            ),
        )
    return peers


def run_kernels(build: Path, rounds: int, mib: int) -> dict:
    command = [build / "bench" / "bench_kernel", str(mib), str(rounds)]
    environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(command, check=True, capture_output=True, env=environment)
    return json.loads(done.stdout)


def spread(values: list[float]) -> list[float]:
    """[smallest, median, largest], 3 digits."""
    return [float(f"{v:.3g}") for v in (min(values), statistics.median(values), max(values))]


def compare(build: Path, rounds: int) -> list[dict]:
    peers = make_peers()
    seen: dict[str, list[tuple[Rate, Rate]]] = {name: [] for name in peers}
    for round_index in range(rounds):
        print(f"round {round_index + 1} of {rounds}", file=sys.stderr)
        cases = run_kernels(build, 1, MIB)["cases"]
        best = {case["name"]: (case["gb_per_s"], case["gb_per_cpu_s"]) for case in cases}
        for name, (kernel, measure) in peers.items():
            seen[name].append((best[kernel], measure()))
    return [
        {
            "peer": name,
            "kernel": peers[name][0],
            "peer_gb_per_s": spread([theirs[0] for _, theirs in pairs]),
            "kernel_gb_per_s": spread([ours[0] for ours, _ in pairs]),
            "ratio": spread([ours[0] / theirs[0] for ours, theirs in pairs]),
            "ratio_cpu": spread([ours[1] / theirs[1] for ours, theirs in pairs]),
        }
        for name, pairs in seen.items()
    ]


def machine() -> dict[str, str | int]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    about = dict(line.split(":", 1) for line in lines if ":" in line)
    about = {key.strip(): value.strip() for key, value in about.items()}
    commit = subprocess.run(
        ["git", "-C", HERE, "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
    ).stdout.strip()
    model = f"{about['model name']} (family {about['cpu family']}, model {about['model']})"
    return {"cpu": model, "cores": os.cpu_count() or 0, "commit": commit}


def three(values: list[float]) -> str:
    return f"{values[1]:g} ({values[0]:g} to {values[2]:g})"


def table(result: dict) -> str:
    about = result["machine"]
    kernels = result["kernels"]
    lines = [
        "## Kernels",
        f"{about['cpu']}, {about['cores']} cores, load {result['load']} at the start; commit {about['commit']}; "
        f"{kernels['threads']} threads, two arrays of {kernels['mib_each']} MiB, {kernels['pairs']} interleaved "
        "rounds. `sum` is a plain summing loop over the same bytes: the machine's own read bandwidth. GB/s are of "
        "bytes read, median; shares of `sum` are median (smallest to largest); \"a CPU second\" is by the CPU time of "
        "all threads, so what others take from the machine does not count.",
        "",
        "| kernel | level | GB/s | GB/s a CPU second | share of `sum` | share by CPU time |",
        "|---|---|---|---|---|---|",
    ]
    for case in kernels["cases"]:
        lines.append(
            f"| {case['name']} | {case['level']} | {case['gb_per_s']:g} | {case['gb_per_cpu_s']:g} | "
            f"{three(case['of_sum'])} | {three(case['of_sum_cpu'])} |"
        )
    lines += [
        "",
        f"Beside their peers, best level, {result['peer_rounds']} rounds:",
        "",
        "| peer | kernel | peer GB/s | kernel GB/s | times as fast | times by CPU time |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["peers"]:
        lines.append(
            f"| {row['peer']} | {row['kernel']} | {three(row['peer_gb_per_s'])} | {three(row['kernel_gb_per_s'])} | "
            f"{three(row['ratio'])} | {three(row['ratio_cpu'])} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    build = Path(sys.argv[1]).resolve()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 15
    result = {"machine": machine(), "load": round(os.getloadavg()[0], 1), "peer_rounds": rounds}
    result["kernels"] = run_kernels(build, rounds, 256)
    result["peers"] = compare(build, rounds)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "kernel.json").write_text(json.dumps(result, indent=1) + "\n")
    page = RESULTS / "README.md"
    text = page.read_text() if page.exists() else f"# Measured\n\n{BEGIN}{END}"
    page.write_text(text[: text.index(BEGIN)] + BEGIN + table(result) + text[text.index(END) :])


if __name__ == "__main__":
    main()
