# SPDX-License-Identifier: Apache-2.0
"""Searches through made-up populations of growing size, and the table of bench/results.

    python bench/bench_search.py BUILD [--full] [--from RESULT.json ...]

BUILD holds bench/bench_search. Sizes are 10^3 to 10^5 entries, with every entry's fingerprint kept; --full adds
2.5 million, as hot codes drawn by themselves, as many strangers of one width, the worst case, and as whole
fingerprints, which take half an hour of two free cores and 10 GB of disk. --from takes what bench_search printed
earlier and measures nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench_diff import processor

RESULTS = Path(__file__).parent / "results"
BEGIN, END = "<!-- search -->\n", "<!-- /search -->\n"
# entries, families (0: strangers), records, queries of each kind
SIZES = [(1_000, 100, 1_000, 300), (10_000, 1_000, 10_000, 300), (100_000, 10_000, 100_000, 1_000)]
FULL = [(2_500_000, 250_000, 0, 1_000, "codes"), (2_500_000, 0, 0, 0, "codes"), (2_500_000, 250_000, 100_000, 1_000)]
Result = dict[str, object]


def measure(program: Path, size: tuple[int | str, ...]) -> Result:
    with tempfile.TemporaryDirectory(dir=program.parent) as folder:
        command = [str(program), folder, *map(str, size)]
        # Threads that wait do not take the processor from those that work.
        environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
        return json.loads(done.stdout)


def times(run: Result, name: str) -> str:
    value = run.get(name)
    return f"{value['min']:.3g} / {value['median']:.3g}" if isinstance(value, dict) else "-"


def name_of(run: Result) -> str:
    kind = " codes" if "recall_of_codes" in run else ""
    return f"{run['entries']:,}{kind}" + ("" if run["synthetic_families"] else " of strangers")


def size_table(runs: list[Result]) -> str:
    lines = ["| entries | leaders | build s | build peak MiB | index MB | scan ms, first touch | scan ms | scan CPU ms | "
             "of `sum` | search ms | search CPU ms |", "|---" * 11 + "|"]
    for run in runs:
        lines.append(f"| {name_of(run)} | {run['leaders']:,} | {run['build_s']:.3g} | {run['build_peak_mib']:.0f} | "
                     f"{run['index_bytes'] / 1e6:.3g} | {run['scan_ms_first_touch']:.3g} | {times(run, 'scan_ms')} | "
                     f"{times(run, 'scan_cpu_ms')} | {run['scan_speed_of_sum']['median']:.2f} | "
                     f"{times(run, 'search_ms')} | {times(run, 'search_cpu_ms')} |")
    return "\n".join(lines)


def recall_table(runs: list[Result]) -> str:
    lines = ["| derivative | " + " | ".join(map(name_of, runs)) + " |", "|---" * (1 + len(runs)) + "|"]
    for number, row in enumerate(runs[0]["recall"]):
        cells = []
        for run in runs:
            kind = run["recall"][number]
            of = kind["linked_by_exact_test"]
            cells.append(f"{kind['found']} of {of}" if of else "-")
        lines.append(f"| {row['kind']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def code_table(runs: list[Result]) -> str:
    lines = ["| entries | derivative | correlation of sums | found | of which the parent's own family |", "|---" * 5 + "|"]
    for run in runs:
        for row in run["recall_of_codes"]:
            lines.append(f"| {name_of(run)} | {row['kind']} | {row['correlation']} | {row['found']} of {row['queries']} | "
                         f"{row['family_of_parent_found']} |")
    return "\n".join(lines)


def page(result: Result) -> str:
    runs = result["runs"]
    whole = [run for run in runs if "recall" in run]
    codes = [run for run in runs if "recall_of_codes" in run]
    more = f"\nWhere hot codes were drawn by themselves:\n\n{code_table(codes)}\n" if codes else ""
    machine = result["machine"]
    return f"""## Searches
{machine['processor']}, {machine['cores']} cores, load {result['load']} at the end; 2 threads; bench/bench_search.c says what the made-up
models are. Times are smallest / median of 9. `scan`: the leaders nearest to a hot code of the most frequent width; `sum` adds up the same
bytes with as many threads. `search`: that, and its leaders and 64 members fetched from a file of fingerprints, decoded and
tested exactly. Where others use the machine, CPU time (of both threads together) says more than the clock.

{size_table(runs)}

Found, of the queries that the exact test links with the entry they were made from (log10 p of -6 or less), by 64 leaders of each kind of code:

{recall_table(whole)}
{more}"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--from", dest="kept", nargs="+", type=Path)
    options = parser.parse_args()
    program = (options.build / "bench" / "bench_search").resolve()
    if options.kept:
        runs = [json.loads(path.read_text()) for path in options.kept]
    else:
        runs = [measure(program, size) for size in SIZES + (FULL if options.full else [])]
    machine = {"processor": processor(), "cores": os.cpu_count()}
    result: Result = {"machine": machine, "load": round(os.getloadavg()[0], 1), "runs": runs}
    (RESULTS / "search.json").write_text(json.dumps(result, indent=1) + "\n")
    readme = RESULTS / "README.md"
    text = readme.read_text()
    if BEGIN not in text:
        text += f"\n{BEGIN}{END}"
    readme.write_text(text[: text.index(BEGIN)] + BEGIN + page(result) + text[text.index(END) :])


if __name__ == "__main__":
    sys.exit(main())
