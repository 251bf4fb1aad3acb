# SPDX-License-Identifier: Apache-2.0
"""Whole-program speed and memory of `weir diff` on a pair of large files, beside plain reading.

Two synthetic llama folders of random bf16 numbers are made once in the user's cache (--gigabytes each, a
tokenizer.json of 25 MB beside them). weir and read_files take turns: from the page cache, then, as root,
from a cold one. Peak memory is the kernel's own figure for the child. Also timed: the first output, and
`inspect` of a real GGUF file.

usage: bench_diff.py BUILD-FOLDER [--gigabytes 4] [--pairs 15] [--cold-pairs 3] [--gguf FILE] > result.json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HIDDEN, FEED_FORWARD, VOCABULARY = 4096, 14336, 32000
MATRICES = {
    "self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.k_proj": (HIDDEN // 4, HIDDEN),
    "self_attn.v_proj": (HIDDEN // 4, HIDDEN), "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (FEED_FORWARD, HIDDEN), "mlp.up_proj": (FEED_FORWARD, HIDDEN),
    "mlp.down_proj": (HIDDEN, FEED_FORWARD),
}


def shapes(gigabytes: float) -> dict[str, tuple[int, int]]:
    layer_bytes = 2 * sum(rows * cols for rows, cols in MATRICES.values())
    layers = max(1, round(gigabytes * 1e9 / layer_bytes))
    out = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN)}
    for layer in range(layers):
        out |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in MATRICES.items()}
    return out


def write_tokenizer(path: Path, megabytes: int = 25) -> None:
    """A BPE vocabulary of about this size, with merges."""
    count = megabytes * 1_000_000 // 42
    vocabulary = {f"token{number:07d}": number for number in range(count)}
    merges = [f"token{number:07d} x" for number in range(count)]
    path.write_text(json.dumps({"model": {"type": "BPE", "vocab": vocabulary, "merges": merges}}))


def write_model(folder: Path, gigabytes: float, change: float) -> Path:
    wanted = shapes(gigabytes)
    layers = sum(name.endswith("q_proj.weight") for name in wanted)
    header, offset = {}, 0
    for name, (rows, cols) in wanted.items():
        header[name] = {"dtype": "BF16", "shape": [rows, cols], "data_offsets": [offset, offset + 2 * rows * cols]}
        offset += 2 * rows * cols
    path = folder / "model.safetensors"
    if path.exists() and path.stat().st_size > offset:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({
        "model_type": "llama", "hidden_size": HIDDEN, "num_attention_heads": 32, "num_key_value_heads": 8,
        "num_hidden_layers": layers, "intermediate_size": FEED_FORWARD, "vocab_size": VOCABULARY}))
    write_tokenizer(folder / "tokenizer.json")
    text = json.dumps(header).encode()
    random = np.random.default_rng(1)
    block = (random.standard_normal(1 << 24) * 0.02).astype(np.float32)
    noise = (random.standard_normal(1 << 24) * 0.02 * change).astype(np.float32)
    stored = ((block + noise).view(np.uint32) >> 16).astype(np.uint16)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for rows, cols in wanted.values():
            left, start = rows * cols, int(random.integers(1 << 23))
            while left:
                part = stored[start:start + left]
                file.write(part.tobytes())
                left, start = left - len(part), 0
    return path


def run(command: list[str]) -> tuple[float, str]:
    begin = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return time.perf_counter() - begin, done.stdout


def peak_memory(command: list[str]) -> int:
    """Bytes, of this one child."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_maxrss * 1024


def drop_caches() -> None:
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3\n")


def spread(values: list[float]) -> dict[str, float]:
    return {"min": round(min(values), 4), "median": round(statistics.median(values), 4), "max": round(max(values), 4)}


def take_turns(weir: list[str], reader: list[str], pairs: int, cold: bool, total: int) -> dict[str, object]:
    ours, plain, ratios = [], [], []
    for _ in range(pairs):
        if cold:
            drop_caches()
        seconds, _ = run(weir)
        if cold:
            drop_caches()
        _, printed = run(reader)
        ours.append(total / seconds / 1e9)
        plain.append(total / float(printed) / 1e9)
        ratios.append(ours[-1] / plain[-1])
    return {"weir_gb_per_s": spread(ours), "plain_read_gb_per_s": spread(plain), "share": spread(ratios), "pairs": pairs}


def seconds_to_first_output(command: list[str]) -> float:
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.read(1)
        return time.perf_counter() - begin


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--gigabytes", type=float, default=4)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--cold-pairs", type=int, default=3)
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--make-only", action="store_true", help="make the two models and stop")
    options = parser.parse_args()
    if not options.make_only:
        # In a process of its own: a child's peak memory would count what its parent held when it forked.
        run([sys.executable, *sys.argv, "--make-only"])
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "weir" / "bench"
    a = write_model(cache / "base", options.gigabytes, 0)
    b = write_model(cache / "model", options.gigabytes, 0.01)
    if options.make_only:
        return
    total = a.stat().st_size + b.stat().st_size
    program = str(options.build / "weir")
    weir = [program, "diff", str(a.parent), str(b.parent), "-q"]
    reader = [str(options.build / "bench" / "read_files"), str(a), str(b)]
    run(weir)
    result: dict[str, object] = {"machine": {"processor": processor(), "cores": os.cpu_count()}, "pair_bytes": total,
                                 "page_cache": take_turns(weir, reader, options.pairs, False, total)}
    result["peak_memory_mib"] = round(peak_memory(weir) / 2**20, 1)
    result["page_cache_with_digest"] = take_turns([*weir, "--digest"], reader, 3, False, total)
    if os.geteuid() == 0 and options.cold_pairs:
        result["cold"] = take_turns(weir, reader, options.cold_pairs, True, total)
    if options.gguf:
        inspect = [program, "inspect", str(options.gguf)]
        run(inspect)
        result["inspect_gguf_first_output_s"] = spread([seconds_to_first_output(inspect) for _ in range(15)])
        result["inspect_gguf_s"] = spread([run(inspect)[0] for _ in range(15)])
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
