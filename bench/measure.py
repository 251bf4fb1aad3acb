# SPDX-License-Identifier: Apache-2.0
"""What one run of a program costs, from the kernel's own books.

Imports nothing large: the kernel starts a child's peak memory at its parent's, so a figure below
`floor_bytes()` cannot be seen from here. Bytes read are those of read calls, of weights and all else, shared
libraries included; what a program maps instead is seen by `resident_bytes` after `leave_cache`.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Run:
    status: int
    wall_s: float
    cpu_s: float
    peak_bytes: int
    read_bytes: int
    output: str
    errors: str


def measured(command: list[str], environment: dict[str, str] | None = None) -> Run:
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=os.environ | (environment or {})
        )
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        wall = time.perf_counter() - begin
        counts = dict(line.split(": ") for line in Path(f"/proc/{process.pid}/io").read_text().splitlines())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        cpu = usage.ru_utime + usage.ru_stime
        peak, read = usage.ru_maxrss * 1024, int(counts["rchar"])
        return Run(process.returncode, wall, cpu, peak, read, out.read(), err.read())


def repeated(
    command: list[str], count: int, before: Callable[[], object] | None = None, environment: dict[str, str] | None = None
) -> list[Run]:
    """One run that is not counted, then `count` that are; `before` is called ahead of each, untimed."""
    runs = []
    for _ in range(count + 1):
        if before:
            before()
        runs.append(measured(command, environment))
    failed = next((run for run in runs if run.status), None)
    if failed:
        raise SystemExit(f"{' '.join(command)}: exit {failed.status}\n{failed.errors}")
    return runs[1:]


def spread(values: list[float]) -> dict[str, float]:
    """Smallest first: on a shared machine it is the one nearest to the program's own cost."""
    return {name: float(f"{of(values):.4g}") for name, of in
            (("min", min), ("median", statistics.median), ("max", max))}  # fmt: skip


def summary(runs: list[Run]) -> dict[str, object]:
    return {
        "wall_s": spread([run.wall_s for run in runs]),
        "cpu_s": spread([run.cpu_s for run in runs]),
        "peak_mib": round(max(run.peak_bytes for run in runs) / 2**20, 1),
        "read_call_bytes": max(run.read_bytes for run in runs),
        "runs": len(runs),
    }


def floor_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def leave_cache(path: Path) -> None:
    """Write the file out and let the page cache drop it."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def resident_bytes(path: Path) -> int:
    """How much of a file lies in the page cache, in whole pages."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        pages = (len(mapped) + mmap.PAGESIZE - 1) // mmap.PAGESIZE
        seen = (ctypes.c_ubyte * pages)()
        view = ctypes.c_char.from_buffer(mapped)
        libc = ctypes.CDLL(None, use_errno=True)
        failed = libc.mincore(ctypes.c_void_p(ctypes.addressof(view)), ctypes.c_size_t(len(mapped)), seen)
        del view
        if failed:
            raise OSError(ctypes.get_errno(), "mincore")
        return sum(page & 1 for page in seen) * mmap.PAGESIZE


def machine() -> dict[str, object]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    described = subprocess.run(
        ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    return {"processor": processor, "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "commit": described}
