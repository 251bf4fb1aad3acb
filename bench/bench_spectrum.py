# SPDX-License-Identifier: Apache-2.0
"""Time of the largest singular values beside torch.svd_lowrank, one thread, rounds in turn; as OpenBLAS knows
the machine by itself, and told by OPENBLAS_CORETYPE to use AVX2 kernels (an OpenBLAS that is older than the
processor falls back to SSE3 ones).

usage: tools/python-env --zoo gives the Python to run this with: bench_spectrum.py BENCH_SPECTRUM [OUT.json]
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

CASES = ((1024, 4096, 48), (1024, 4096, 152), (381, 11008, 48), (576, 1536, 48))
ITERATIONS, OVERSAMPLE, ROUNDS = 2, 6, 5


def make(rows: int, cols: int) -> torch.Tensor:
    """Sixteen directions under noise, as a merged adapter is."""
    low = torch.randn(rows, 16) @ (torch.randn(16, cols) / torch.arange(1, 17)[:, None])
    return (low + torch.randn(rows, cols)).contiguous()


def measure(program: str, rows: int, cols: int, count: int, core: str, folder: Path) -> dict[str, object]:
    matrix = make(rows, cols)
    path = folder / "matrix"
    path.write_bytes(matrix.numpy().tobytes())
    mine, theirs, worst = [], [], 0.0
    for _ in range(ROUNDS):
        answer = json.loads(subprocess.run(
            [program, str(path), str(rows), str(cols), str(count), str(ITERATIONS), "3"],
            check=True, capture_output=True, text=True,
            env=os.environ | ({"OPENBLAS_CORETYPE": core} if core else {})).stdout)
        mine.append(statistics.median(answer["seconds"]))
        begin = time.perf_counter()
        _, values, _ = torch.svd_lowrank(matrix, q=count + OVERSAMPLE, niter=ITERATIONS)
        theirs.append(time.perf_counter() - begin)
        exact = torch.tensor(answer["values"])[:16]
        worst = max(worst, float(((values[:16] - exact) / exact).abs().max()))
    ratios = [b / a for a, b in zip(mine, theirs)]
    return {"core": core or "by itself", "rows": rows, "cols": cols, "values": count, "weir_seconds": round(statistics.median(mine), 4),
            "torch_seconds": round(statistics.median(theirs), 4), "torch_over_weir": round(statistics.median(ratios), 2),
            "ratios": [round(min(ratios), 2), round(max(ratios), 2)], "largest_difference_of_16": worst}


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        cases = [measure(sys.argv[1], *case, core, Path(folder)) for core in ("", "HASWELL") for case in CASES]
    text = json.dumps({"torch": torch.__version__, "threads": 1, "rounds": ROUNDS, "cases": cases}, indent=1)
    print(text)
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
