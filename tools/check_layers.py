# SPDX-License-Identifier: Apache-2.0
"""The folder law: which folder may include which. DESIGN: a folder includes only what its row names, and
what those stand on; policy includes evidence alone; everything may include base; no cycles.

usage: check_layers.py [ROOT]      prints "FILE:LINE: what is wrong"; fails if anything is
"""

from __future__ import annotations

import re
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

# In the order in which data flows. A row names what a folder stands on directly.
ROWS: dict[str, tuple[str, ...]] = {
    "base": (),
    "io": ("base",),
    "kernel": ("base",),
    "format": ("io",),
    "template": ("io",),
    "tensor": ("format", "kernel"),
    "align": ("tensor",),
    "sketch": ("align",),
    "engine": ("tensor",),
    "delta": ("align", "engine", "template"),
    "probe": ("engine", "template"),
    "scaffold": ("format",),
    "evidence": ("sketch", "delta", "probe", "scaffold"),
    "policy": ("evidence",),
    "attest": ("evidence",),
    "registry": ("policy",),
    "watch": ("registry",),
    "assess": ("registry", "attest"),
    "report": ("assess", "watch"),
    "server": ("report",),
    "worker": ("report",),
}
ONLY_ITS_ROW = {"policy"}

# Public headers whose functions live high up: a folder below may not include them. The others hold types
# that every folder may use.
HEADER_OWNER = {
    "weir/diff.h": "delta",
    "weir/inspect.h": "evidence",
    "weir/trace.h": "sketch",
    "weir/trace_lines.h": "evidence",
    "weir/replay.h": "assess",
    "weir/registry.h": "registry",
    "weir/assess.h": "assess",
    "weir/report.h": "report",
    "weir/doctor.h": "report",
    "weir/weir.h": "server",
}
STANDARD = {"inttypes", "limits", "stdbool", "stddef", "stdint", "stdio"}

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
Include = tuple[int, str, str]  # line, "<" or '"', path


def standing_on(folder: str) -> set[str]:
    """A folder, what its row names and what those stand on."""
    found = {folder, "base"}
    for below in ROWS[folder]:
        found |= standing_on(below)
    return found


def may_include(folder: str) -> set[str]:
    """The law. That policy sees evidence alone binds policy, not who stands on it."""
    return set(ROWS[folder]) | {"base", folder} if folder in ONLY_ITS_ROW else standing_on(folder)


def includes_of(path: Path) -> list[Include]:
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if match := INCLUDE.match(line):
            found.append((number, match[1], match[2]))
    return found


def check_source(root: Path, path: Path) -> list[str]:
    folder = path.relative_to(root / "src").parts[0]
    if folder not in ROWS:
        return [f"{path.relative_to(root)}:1: folder '{folder}' is not in the law"]
    allowed = may_include(folder)
    problems = []
    for number, mark, name in includes_of(path):
        owner = HEADER_OWNER.get(name, name.split("/")[0])
        place = f"{path.relative_to(root)}:{number}"
        if mark == "<" and name.startswith("weir/"):
            problems.append(f'{place}: inside src write "{name}"')
        elif mark == '"' and "/" not in name:
            problems.append(f'{place}: write "{folder}/{name}"')
        elif mark == '"' and owner in ROWS and owner not in allowed:
            problems.append(f"{place}: {folder} may not include {name}")
        elif mark == '"' and owner not in ROWS and owner != "weir":
            problems.append(f"{place}: no folder '{owner}'")
    return problems


def check_cli(root: Path, path: Path) -> list[str]:
    own = {header.name for header in path.parent.glob("*.h")}
    problems = []
    for number, mark, name in includes_of(path):
        is_own = mark == '"' and name in own
        if mark == '"' and not is_own:
            problems.append(f"{path.relative_to(root)}:{number}: cli includes only <weir/*.h>, not {name}")
        elif name.startswith("weir/") and not (root / "include" / name).exists():
            problems.append(f"{path.relative_to(root)}:{number}: no public header {name}")
    return problems


def check_public(root: Path, path: Path) -> list[str]:
    problems = []
    for number, mark, name in includes_of(path):
        is_standard = mark == "<" and name.removesuffix(".h") in STANDARD
        is_own = mark == '"' and (root / "include" / name).exists()
        if not is_standard and not is_own:
            problems.append(f"{path.relative_to(root)}:{number}: a public header may not include {name}")
    return problems


def find_cycle(root: Path) -> list[str]:
    """Headers that include each other, by way of others or not."""
    graph: dict[str, list[str]] = {}
    for base in (root / "include", root / "src"):
        for path in base.rglob("*.h"):
            graph[str(path.relative_to(base))] = [name for _, mark, name in includes_of(path) if mark == '"']
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return ["headers include each other: " + " -> ".join(error.args[1])]
    return []


def check(root: Path) -> list[str]:
    problems = find_cycle(root)
    for folder, check_file in (("src", check_source), ("cli", check_cli), ("include", check_public)):
        for path in sorted((root / folder).rglob("*.[ch]")):
            problems += check_file(root, path)
    return problems


def main() -> int:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    problems = check(root)
    print("\n".join(problems) if problems else "layers: clean")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
