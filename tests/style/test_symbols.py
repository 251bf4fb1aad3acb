# SPDX-License-Identifier: Apache-2.0
"""The shared library exports what the public headers declare, and that is what the stored list says.

usage: test_symbols.py LIBRARY INCLUDE_FOLDER STORED_LIST [--update]
"""

from __future__ import annotations

import re
import subprocess
import sys
import unittest
from pathlib import Path

LIBRARY, INCLUDE, STORED = (Path(word).resolve() for word in sys.argv[1:4])
DECLARATION = re.compile(r"^WEIR_API\s[^;{]*?\b(weir_\w+)\s*\(", re.MULTILINE)


def exported() -> set[str]:
    command = ["nm", "--dynamic", "--defined-only", "--format=posix", LIBRARY]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    # Sanitizers add symbols of their own.
    return {line.split()[0] for line in lines if not line.startswith("__")}


def declared() -> set[str]:
    return {name for header in INCLUDE.rglob("*.h") for name in DECLARATION.findall(header.read_text())}


class Symbols(unittest.TestCase):
    def test_every_declared_function_is_exported(self) -> None:
        self.assertEqual(declared() - exported(), set())

    def test_nothing_else_is_exported(self) -> None:
        self.assertEqual(exported() - declared(), set())

    def test_a_changed_list_is_meant(self) -> None:
        stored = set(STORED.read_text().split())
        self.assertEqual(stored, declared(), "if it is meant: python3 test_symbols.py ... --update")


if __name__ == "__main__":
    if "--update" in sys.argv:
        STORED.write_text("\n".join(sorted(declared())) + "\n")
    unittest.main(argv=[sys.argv[0]])
