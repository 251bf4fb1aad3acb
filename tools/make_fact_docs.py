# SPDX-License-Identifier: Apache-2.0
"""Write docs/facts.md from the vocabulary in src/evidence/fact.h.

usage: make_fact_docs.py [--check]       --check: fail when the file does not agree
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROW = re.compile(r'X\((\w+),\s*"([^"]+)",\s*(\w+),\s*"([^"]*)",\s*"([^"]+)",\s*"([^"]+)"\)')
TYPES = {"TEXT": "text", "NUMBER": "number", "BOOL": "true or false", "DOCUMENT": "present, not_found, not_examined"}
HEAD = """# The vocabulary of facts
Made by `tools/make_fact_docs.py` from `src/evidence/fact.h`. A fact is {value, grade, source}; a fact that was not measured has the
grade `unknown` and no value. The producer is the verb that can measure it.

| fact | type | unit | producer | meaning |
|---|---|---|---|---|
"""


def vocabulary() -> str:
    text = (ROOT / "src/evidence/fact.h").read_text().replace("\\\n", " ")
    rows = ROW.findall(re.sub(r"\s+", " ", text))
    return HEAD + "".join(f"| `{name}` | {TYPES[kind]} | {unit} | {producer} | {meaning} |\n"
                          for _, name, kind, unit, producer, meaning in rows)


def main() -> int:
    path, text = ROOT / "docs/facts.md", vocabulary()
    if "--check" not in sys.argv:
        path.write_text(text)
        return 0
    if path.exists() and path.read_text() == text and text.count("\n") > 10:
        return 0
    print("docs/facts.md does not agree with src/evidence/fact.h: run tools/make_fact_docs.py")
    return 1


if __name__ == "__main__":
    sys.exit(main())
