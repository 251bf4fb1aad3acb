# SPDX-License-Identifier: Apache-2.0
"""Sum the results of all suites from the JUnit files that meson and pytest left in the build folders.

usage: sum_tests.py FAILED BUILD...     FAILED: steps that failed and are no test, to be added
Prints one line a suite, then "N passed, N failed"; fails if one failed.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

E2E = "e2e"  # one meson test whose cases pytest counts itself


def outcome(case: ElementTree.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "skipped" if case.find("skipped") is not None else "passed"


def suite_of(case: ElementTree.Element) -> str:
    """Meson calls a program "weir:SUITE / TEST", and the cases of a TAP program "weir.weir:SUITE / TEST"."""
    named = case.get("name", "") if " / " in case.get("name", "") else case.get("classname", "")
    return named.partition(" / ")[0].rpartition(":")[2]


def count_build(build: Path) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    logs = build / "meson-logs"
    from_pytest = sorted(logs.glob("pytest-*.junit.xml"))
    pytest_failed = any(outcome(case) == "failed" for path in from_pytest
                        for case in ElementTree.parse(path).getroot().iter("testcase"))
    for path in sorted(logs.glob("testlog*.junit.xml")):
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            name = suite_of(case)
            if name == E2E and from_pytest and (pytest_failed or outcome(case) == "passed"):
                continue  # pytest's own cases say it
            counts.setdefault(name, Counter())[outcome(case)] += 1
    for path in from_pytest:
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            counts.setdefault(E2E, Counter())[outcome(case)] += 1
    return counts or {"no result": Counter(failed=1)}


def main() -> int:
    total = Counter(failed=int(sys.argv[1]))
    for argument in sys.argv[2:]:
        for name, counts in sorted(count_build(Path(argument)).items()):
            print(f"{argument:>12} {name:<12} " + ", ".join(
                f"{counts[key]} {key}" for key in ("passed", "failed", "skipped") if counts[key]))
            total.update(counts)
    skipped = f", {total['skipped']} skipped" if total["skipped"] else ""
    print(f"{total['passed']} passed, {total['failed']} failed{skipped}")
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
