# SPDX-License-Identifier: Apache-2.0
"""Put what was measured into docs/evidence.md, between its marks, from the results that are kept.

usage: make_evidence_docs.py [--check]       --check: fail when the file does not agree
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "evidence.md"


def zoo() -> str:
    """The judge writes Markdown; its headline becomes one of this page."""
    return (RESULTS / "zoo.md").read_text().replace("## Measured on the zoo", "## A shared ancestor, measured")


def changes() -> str:
    """Of modifications, as their judge writes it; nothing before the first judgement is kept."""
    kept = RESULTS / "changes.md"
    return kept.read_text() if kept.exists() else ""


def power() -> str:
    """At which cosine nine and a half of ten children are found, beside the cosine that is stated."""
    measured = json.loads((RESULTS / "link_power.json").read_text())
    lines = [
        "## The power that a trace states, measured",
        f"{measured['trials']} children a shape whose rows keep the stated cosine, {measured['entries']} models searched, "
        f"p 1e{measured['log10_p_limit']}.",
        "",
        "| width | layers | gate | stated cosine | found at it | least cosine for .95 | strangers linked |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {s['width']} | {s['layers']} | {'yes' if s['gate'] else 'no'} | {s['stated_cosine']:.3f} | "
        f"{s['found_at_stated']:.3f} | {s['smallest_cosine']:.2f} | {s['strangers_linked']} |"
        for s in measured["shapes"]
    ]
    return "\n".join(lines) + "\n"


def page() -> str:
    text = PAGE.read_text()
    for name, make in {"zoo": zoo, "power": power, "changes": changes}.items():
        marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        if not marks.search(text):
            raise SystemExit(f"{PAGE.name}: no marks for {name}")
        text = marks.sub(lambda found: found[1] + make() + found[2], text)  # noqa: B023
    return text


def main() -> None:
    made = page()
    if sys.argv[1:] == ["--check"]:
        if made != PAGE.read_text():
            raise SystemExit("docs/evidence.md differs from bench/results: run tools/make_evidence_docs.py")
    else:
        PAGE.write_text(made)


if __name__ == "__main__":
    main()
