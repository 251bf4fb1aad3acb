# SPDX-License-Identifier: Apache-2.0
"""`weir trace` beside two peers on pairs of known truth: verdict, time, memory and bytes.

Peers: compare_whole.py (the plain comparison of whole weights, numpy), and Cisco's model-provenance-kit where a
checkout of it is there. Nothing is downloaded:
    PEER_PYTHON      a Python with torch, transformers and gguf, and what the kit needs: makes the pairs, runs the kit
    PROVENANCE_KIT   the folder of the kit's checkout (github.com/cisco-ai-defense/model-provenance-kit)
Without the first nothing is measured, without the second the kit's column stays empty; both say so. The kit answers
twice: `decision`, after its gate over config.json, and `identity_score`, the weighted sum of its five weight signals
alone, "match" above .65 by its own scale.

Bytes of weir and compare_whole.py are their own counts of weights. The kit maps its files: of each file, what is in
the page cache after a run from a cold one, read-ahead included.

usage: bench_trace_peers.py BUILD-FOLDER [--runs 5] [--peer-runs 2] [--large] > result.json
    --large  also a pair of unrelated models of 2.1 GB (make_big_model.py, 4 layers)
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Run, leave_cache, machine, measured, repeated, resident_bytes, summary

HERE = Path(__file__).parent
MATCH_ABOVE = 0.65  # the kit's own line of a weak match
# name of the model, whether its weights come from base
PAIRS = [("tuned", True), ("independent", False), ("untrained", False), ("permuted", True), ("shortened", True),
         ("Q4_0.gguf", True)]  # fmt: skip
Answer = dict[str, object]


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "weir" / "bench"


def weights(model: Path) -> list[Path]:
    return [model] if model.is_file() else sorted(model.glob("*.safetensors"))


def by_weir(weir: Path, model: Path, base: Path, runs: int) -> Answer:
    """Both sides counted: base is added to an empty registry, then the model is traced in it."""
    with tempfile.TemporaryDirectory() as folder:
        registry = ["--registry", f"{folder}/registry.db"]
        add = [str(weir), "registry", "add", *registry, str(base)]
        added = repeated(add, runs, before=lambda: [path.unlink() for path in Path(folder).iterdir()])
        trace = [str(weir), "trace", *registry, str(model)]
        found = repeated(trace, runs)
        answer = json.loads(measured([*trace, "--json"]).output)
    best = next((c for c in answer["candidates"] if c["model"]["name"] == base.name), {})
    both = [Run(b.status, a.wall_s + b.wall_s, a.cpu_s + b.cpu_s, max(a.peak_bytes, b.peak_bytes),
                a.read_bytes + b.read_bytes, "", "") for a, b in zip(added, found, strict=True)]  # fmt: skip
    linked = answer["verdict"] in ("identical", "derived", "related") and bool(best)
    return summary(both) | {"verdict": answer["verdict"], "linked": linked, "log10_p": best.get("log10_p"),
                            "null": best.get("null"), "bytes_of_model": answer["bytes_read"]}  # fmt: skip


def by_whole(model: Path, base: Path, runs: int) -> Answer:
    done = repeated([sys.executable, str(HERE / "compare_whole.py"), str(base), str(model)], runs)
    answer = json.loads(done[-1].output)
    return summary(done) | answer | {"linked": answer["verdict"] == "linked"}


def by_kit(python: str, kit: Path, model: Path, base: Path, runs: int) -> Answer:
    command = [python, "-c", "from provenancekit.cli import main; main()", "compare", str(base), str(model), "--json", "--no-cache"]
    environment = {"PYTHONPATH": str(kit / "src"), "HF_HUB_OFFLINE": "1"}
    done = [measured(command, environment) for _ in range(runs)]
    if done[-1].status:
        said = done[-1].errors.strip().splitlines()[-1]
        return {"refused": said.replace(f"{model.parent}/", "")[:200], "linked": None}
    for path in [*weights(base), *weights(model)]:
        leave_cache(path)
    measured(command, environment)
    cached = sum(map(resident_bytes, [*weights(base), *weights(model)]))
    answer = json.loads(done[-1].output)
    scores = answer["scores"]
    score = scores["identity_score"]
    return summary(done) | {
        "decision": scores["provenance_decision"], "gate_tier": scores["mfi_tier"], "identity_score": score,
        "linked": scores["pipeline_score"] > MATCH_ABOVE,
        "linked_by_weights_alone": score is not None and score > MATCH_ABOVE,
        "signals": answer["signals"], "bytes_read": cached,
    }  # fmt: skip


def pair(options: argparse.Namespace, model: Path, base: Path, related: bool) -> Answer:
    print(f"{model.name} against {base.name}", file=sys.stderr)
    row: Answer = {"model": model.name, "related": related,
                   "bytes": sum(path.stat().st_size for path in [*weights(base), *weights(model)])}  # fmt: skip
    row["weir"] = by_weir(options.build / "weir", model, base, options.runs)
    row["whole"] = by_whole(model, base, options.peer_runs)
    if options.kit:
        row["kit"] = by_kit(options.python, options.kit, model, base, options.peer_runs)
    return row


def kit_version(kit: Path | None) -> str | None:
    if not kit:
        return None
    return subprocess.run(["git", "-C", str(kit), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer-runs", type=int, default=2)
    parser.add_argument("--large", action="store_true")
    options = parser.parse_args()
    options.python, kit = os.environ.get("PEER_PYTHON"), os.environ.get("PROVENANCE_KIT")
    options.kit = Path(kit) if kit else None
    if not options.python:
        raise SystemExit("bench_trace_peers.py: skipped, PEER_PYTHON names no Python with torch and transformers")
    if not options.kit:
        print("bench_trace_peers.py: PROVENANCE_KIT names no checkout; its column stays empty", file=sys.stderr)
    folder = cache() / "trace-pairs"
    if not (folder / "Q4_0.gguf").exists():
        subprocess.run([options.python, str(HERE / "make_trace_pairs.py"), str(folder)], check=True, stdout=sys.stderr)
    rows = [pair(options, folder / name, folder / "base", related) for name, related in PAIRS]
    if options.large:
        made = [[str(cache() / f"large-{seed}"), "--layers", "4", "--seed", str(seed)] for seed in (1, 2)]
        sides = [subprocess.run([sys.executable, str(HERE / "make_big_model.py"), *arguments], check=True,
                                capture_output=True, text=True).stdout.strip() for arguments in made]  # fmt: skip
        rows.append(pair(options, Path(sides[1]), Path(sides[0]), False))
    print(json.dumps({"machine": machine(), "kit_commit": kit_version(options.kit), "pairs": rows}, indent=1))


if __name__ == "__main__":
    main()
