# SPDX-License-Identifier: Apache-2.0
"""The checkers find what they are there for.

usage: test_checkers.py TOOLS_FOLDER
"""

from __future__ import annotations

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, sys.argv[1])
import check_layers  # noqa: E402
import check_style  # noqa: E402

SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"


class Tree(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for name in ("meson.build", "meson_options.txt", "Makefile", "run", "check"):
            self.write(name, "# SPDX-License-Identifier: Apache-2.0\n")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class Layers(Tree):
    def refuse(self, name: str, text: str) -> None:
        self.write(name, text)
        self.assertNotEqual(check_layers.check(self.root), [])

    def accept(self, name: str, text: str) -> None:
        self.write(name, text)
        self.assertEqual(check_layers.check(self.root), [])

    def test_a_folder_below_is_accepted(self) -> None:
        self.accept("src/format/a.c", '#include "io/source.h"\n')

    def test_what_a_row_stands_on_is_accepted(self) -> None:
        self.accept("src/delta/a.c", '#include "kernel/convert.h"\n#include "io/source.h"\n')

    def test_a_folder_above_is_refused(self) -> None:
        self.refuse("src/io/a.c", '#include "format/gguf.h"\n')

    def test_a_folder_beside_is_refused(self) -> None:
        self.refuse("src/kernel/a.c", '#include "io/source.h"\n')

    def test_policy_includes_evidence_alone(self) -> None:
        self.accept("src/policy/a.c", '#include "evidence/fact.h"\n')
        self.refuse("src/policy/b.c", '#include "delta/compare.h"\n')

    def test_what_stands_on_policy_includes_what_policy_stands_on(self) -> None:
        self.accept("src/registry/a.c", '#include "sketch/fingerprint.h"\n#include "io/digest.h"\n')
        self.refuse("src/registry/b.c", '#include "attest/log.h"\n')

    def test_a_public_header_of_a_folder_above_is_refused(self) -> None:
        self.refuse("src/tensor/a.c", '#include "weir/diff.h"\n')

    def test_an_unknown_folder_is_refused(self) -> None:
        self.refuse("src/misc/a.c", "")

    def test_cli_includes_only_the_public_api(self) -> None:
        self.refuse("cli/a.c", '#include "base/text.h"\n')

    def test_a_public_header_has_no_third_party_type(self) -> None:
        self.refuse("include/weir/a.h", "#include <jansson.h>\n")

    def test_headers_in_a_circle_are_refused(self) -> None:
        self.write("src/io/b.h", '#include "io/a.h"\n')
        self.refuse("src/io/a.h", '#include "io/b.h"\n')


class Style(Tree):
    def refuse(self, name: str, text: str, what: str) -> None:
        self.write(name, text)
        self.assertIn(what, "\n".join(check_style.check(self.root)))

    def accept(self, name: str, text: str) -> None:
        self.write(name, text)
        self.assertEqual(check_style.check(self.root), [])

    def test_plain_code_is_accepted(self) -> None:
        self.accept("src/io/a.c", SPDX + 'int f(void) {\n    return 0; /* strcpy( */\n}\n')

    def test_a_banned_function_is_found(self) -> None:
        self.refuse("cli/a.c", SPDX + "void f(char *a) {\n    strcpy(a, a);\n}\n", "strcpy() is banned")

    def test_a_printing_library_is_found(self) -> None:
        self.refuse("src/io/a.c", SPDX + 'void f(void) {\n    printf("a");\n}\n', "printf()")

    def test_a_map_is_found_but_of_the_search_index(self) -> None:
        text = SPDX + "void *f(void) {\n    return mmap(0, 1, 0, 0, 0, 0);\n}\n"
        self.accept("src/sketch/search_index.c", text)
        self.refuse("src/sketch/library.c", text, "mmap()")

    def test_a_raw_size_is_found(self) -> None:
        self.refuse("src/format/a.c", SPDX + "void *f(long n) {\n    return malloc(n * 8);\n}\n", "checked.h")

    def test_a_long_function_is_found(self) -> None:
        body = "    f();\n" * 70
        self.refuse("src/io/a.c", SPDX + "void f(void) {\n" + body + "}\n", "the cap is 70")

    def test_a_missing_licence_line_is_found(self) -> None:
        self.refuse("tools/a.py", "x = 1\n", "no SPDX line")

    def test_a_name_that_is_taken_is_found(self) -> None:
        self.write("src/io/a.c", SPDX)
        self.refuse("src/format/a.c", SPDX, "the name is taken")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
