# SPDX-License-Identifier: Apache-2.0
"""What finding an upstream costs: adding a large model to a registry, and tracing a real one.

1. A synthetic model of 7B shapes (make_big_model.py; --layers of them, 32 are all) in bf16 and in Q4_0:
   bench_fingerprint's steps, then `weir registry add` as a whole program, from the page cache.
2. `weir trace` of SmolLM2-135M-Instruct, and of a remix of it, against what weir ships and against a registry of
   --entries: the model itself, and synthetic strangers of its shapes.
Whole programs are measured from outside (measure.py). Models are made once, in the user's cache.

usage: bench_trace.py BUILD-FOLDER --gguf FILE [--layers 4] [--entries 200] [--runs 15] > result.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import floor_bytes, machine, measured, repeated, summary

HERE = Path(__file__).parent


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "weir" / "bench"


def helper(script: str, *arguments: str) -> str:
    """Another script in a process of its own, so that this one stays small (see measure.py)."""
    done = subprocess.run([sys.executable, str(HERE / script), *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def weight_bytes(model: Path) -> int:
    files = [model] if model.is_file() else model.glob("*.safetensors")
    return sum(file.stat().st_size for file in files)


def large(build: Path, model: Path, runs: int, folder: Path) -> dict[str, object]:
    steps = json.loads(measured([str(build / "bench" / "bench_fingerprint"), str(model), str(runs)]).output)
    registry = folder / "large"
    add = [str(build / "weir"), "registry", "add", "--registry", str(registry), str(model)]
    added = repeated(add, runs, before=lambda: [path.unlink() for path in folder.glob("large*")])
    stored = weight_bytes(model)
    return {"weight_bytes": stored, "share_read": round(steps["weight_bytes_read"] / stored, 6), "steps": steps,
            "registry_add": summary(added)}  # fmt: skip


def traced(weir: Path, arguments: list[str], runs: int) -> dict[str, object]:
    """A trace as a whole program; what it says is taken from one more run."""
    command = [str(weir), "trace", *arguments]
    answer = json.loads(measured([*command, "--json"]).output)
    kept = {name: answer[name] for name in ("verdict", "searched", "bytes_read")}
    best = answer["candidates"][0] if answer["candidates"] else {}
    return summary(repeated(command, runs)) | kept | {"log10_p": best.get("log10_p")}


def real(weir: Path, gguf: Path, remix: Path, options: argparse.Namespace, folder: Path) -> dict[str, object]:
    strangers = folder / "strangers"
    helper("small_models.py", str(strangers), str(options.entries - 1))
    registry = folder / "real"
    for models in ([str(gguf)], sorted(map(str, strangers.iterdir()))):
        done = measured([str(weir), "registry", "add", "--registry", str(registry), *models])
        if done.status:
            raise SystemExit(f"registry add: exit {done.status}\n{done.errors}")
    empty = folder / "empty"
    out = {}
    for name, model in (("model", gguf), ("remix", remix)):
        out[name] = {
            "shipped": traced(weir, [str(model), "--registry", str(empty)], options.runs),
            f"registry_of_{options.entries}": traced(weir, [str(model), "--registry", str(registry)], options.runs),
        }
    return out


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--entries", type=int, default=200)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    weir = options.build / "weir"
    place = cache() / f"7b-{options.layers}"
    result: dict[str, object] = {"machine": machine(), "layers": options.layers, "floor_mib": floor_bytes() >> 20}
    remix = cache() / f"{options.gguf.stem}-remix.gguf"
    if not remix.exists():
        cache().mkdir(parents=True, exist_ok=True)
        helper("../tools/make_remix.py", str(options.gguf), str(remix))
    with tempfile.TemporaryDirectory() as folder:
        for name, extra in (("bf16", []), ("Q4_0", ["--gguf", "Q4_0"])):
            model = Path(helper("make_big_model.py", str(place), "--layers", str(options.layers), *extra))
            result[name] = large(options.build, model, options.runs, Path(folder))
        result["smollm2"] = real(weir, options.gguf, remix, options, Path(folder))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
