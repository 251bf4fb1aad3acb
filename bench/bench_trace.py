# SPDX-License-Identifier: Apache-2.0
"""What finding an upstream costs: adding a large model to a registry, and tracing a real one.

1. A synthetic model of 7B shapes (make_big_model.py; --layers of them, 32 are all) in bf16 and in Q4_0:
   bench_fingerprint's steps, then `weir registry add` as a whole program, from the page cache.
2. `weir trace` of SmolLM2-135M-Instruct, and of a remix of it, against what weir ships and against registries of
   --entries: the model itself, and synthetic strangers, of its shapes or of another feed-forward width (where units
   may have been dropped, so that more has to be compared).
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
    registry = folder / "large.db"
    add = [str(build / "weir"), "registry", "add", "--registry", str(registry), str(model)]
    added = repeated(add, runs, before=lambda: [path.unlink() for path in folder.glob("large.db*")])
    stored = weight_bytes(model)
    return {"weight_bytes": stored, "share_read": round(steps["weight_bytes_read"] / stored, 6), "steps": steps,
            "registry_add": summary(added)}  # fmt: skip


def traced(weir: Path, model: Path, registry: Path | None, runs: int) -> dict[str, object]:
    """A trace as a whole program; what it says is taken from one more run. None: only what weir ships."""
    with tempfile.TemporaryDirectory() as no_registry:
        environment = {"XDG_DATA_HOME": no_registry}
        command = [str(weir), "trace", str(model), *(["--registry", str(registry)] if registry else [])]
        told = measured([*command, "--json"], environment)
        if told.status:
            raise SystemExit(f"{' '.join(command)}: exit {told.status}\n{told.output}")
        answer = json.loads(told.output)
        kept = {name: answer[name] for name in ("verdict", "searched", "bytes_read")}
        best = answer["candidates"][0] if answer["candidates"] else {}
        return summary(repeated(command, runs, environment=environment)) | kept | {"log10_p": best.get("log10_p")}


def fill(weir: Path, gguf: Path, feed_forward: int, options: argparse.Namespace, folder: Path) -> Path:
    strangers, registry = folder / f"strangers-{feed_forward}", folder / f"{feed_forward}.db"
    helper("small_models.py", str(strangers), str(options.entries - 1), "--feed-forward", str(feed_forward))
    done = measured([str(weir), "registry", "add", "--registry", str(registry), str(gguf),
                     *sorted(map(str, strangers.iterdir()))])  # fmt: skip
    if done.status:
        raise SystemExit(f"registry add: exit {done.status}\n{done.errors}")
    return registry


def real(weir: Path, gguf: Path, remix: Path, options: argparse.Namespace, folder: Path) -> dict[str, object]:
    registries = {"shipped": None, "same_shape": fill(weir, gguf, 1536, options, folder),
                  "other_shape": fill(weir, gguf, 1408, options, folder)}  # fmt: skip
    return {
        name: {where: traced(weir, model, registry, options.runs) for where, registry in registries.items()}
        for name, model in (("model", gguf), ("remix", remix))
    } | {"entries": options.entries}


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
    result: dict[str, object] = {"machine": machine(), "layers": options.layers, "floor_mib": round(floor_bytes() / 2**20)}
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
