# SPDX-License-Identifier: Apache-2.0
"""Sum the results of all suites from the JUnit files that meson and pytest left in the build folders.

usage: sum_tests.py BUILD...     prints one line a suite, then "N passed, N failed"; fails if one failed
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


def count_cases(suite: ElementTree.Element) -> Counter[str]:
    return Counter(outcome(case) for case in suite.iter("testcase"))


def suite_name(name: str) -> str:
    """Meson names suites PROJECT:SUITE and PROJECT:SUITE:TEST."""
    parts = name.split(":")
    return parts[1] if len(parts) > 1 else name


def count_build(build: Path) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    logs = build / "meson-logs"
    from_pytest = sorted(logs.glob("pytest-*.junit.xml"))
    for path in sorted(logs.glob("testlog*.junit.xml")):
        for suite in ElementTree.parse(path).getroot().iter("testsuite"):
            name = suite_name(suite.get("name", ""))
            counted = count_cases(suite)
            if name == E2E and from_pytest and not counted["failed"]:
                continue
            counts.setdefault(name, Counter()).update(counted)
    for path in from_pytest:
        for suite in ElementTree.parse(path).getroot().iter("testsuite"):
            counts.setdefault(E2E, Counter()).update(count_cases(suite))
    return counts


def main() -> int:
    total: Counter[str] = Counter()
    for argument in sys.argv[1:]:
        for name, counts in sorted(count_build(Path(argument)).items()):
            print(f"{argument:>12} {name:<12} " + ", ".join(
                f"{counts[key]} {key}" for key in ("passed", "failed", "skipped") if counts[key]))
            total.update(counts)
    skipped = f", {total['skipped']} skipped" if total["skipped"] else ""
    print(f"{total['passed']} passed, {total['failed']} failed{skipped}")
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
