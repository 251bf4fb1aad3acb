# SPDX-License-Identifier: Apache-2.0
"""Rules of STYLE that a reader would otherwise have to look for.

usage: check_style.py [ROOT]      prints "FILE:LINE: what is wrong"; fails if anything is
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

FUNCTION_LINES_MAX = 70

# Unbounded, locale-dependent, or with a hidden global state.
BANNED = ("strcpy strcat sprintf vsprintf strncpy strncat atoi atol atoll atof strtok gets alloca rand "
          "srand random tmpnam mktemp").split()
# The library never prints, ends the process, reads its environment or starts another.
BANNED_IN_LIBRARY = ("printf puts putchar perror exit _exit abort getenv secure_getenv setenv setlocale "
                     "system popen fork vfork posix_spawn execve execvp signal sigaction mmap").split()
# Inputs are read by pread: a file that shrinks under a map kills the process. The search index is weir's own
# file, replaced and never rewritten.
MAY_CALL = {"src/sketch/search_index.c": {"mmap"}}
LIBRARY_STREAMS = re.compile(r"\b(stdout|stderr|stdin)\b")
# Folders whose numbers come from files: sizes are computed by base/checked.h before they reach an allocator.
PARSERS = {"io", "format", "template", "tensor"}
RAW_SIZE = re.compile(r"\b(?:malloc|realloc|aligned_alloc)\s*\(([^;]*)\)\s*;")

CODE_SUFFIXES = {".c", ".h", ".py", ".sh", ".yaml", ".yml", ".build"}
SKIPPED = {"corpus", "golden", "node_modules", "__pycache__", "data"}
ROOTS = ("include", "src", "cli", "tests", "bench", "tools", "docs", "share", ".ci")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")
# Where packages come from is the machine's setting, not ours.
REGISTRY_HOST = re.compile(r"\b(pypi\.org|pythonhosted\.org|registry\.npmjs|deb\.debian\.org)\b")

LITERAL = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?\*/', re.DOTALL)
FUNCTION_BEGIN = re.compile(r"^(?![ \t#/}]).*\)\s*\{$|^[ ]{8,}.*\)\s*\{$")


def code_files(root: Path) -> Iterator[Path]:
    for name in ROOTS:
        for path in sorted((root / name).rglob("*")):
            if path.is_file() and not SKIPPED & set(path.relative_to(root).parts):
                yield path
    yield from (root / name for name in ("meson.build", "meson_options.txt", "Makefile", "run", "check"))


def blanked(text: str) -> str:
    """Code without comments and literals; line numbers stay."""

    def blank(match: re.Match[str]) -> str:
        kept = "\n" * match[0].count("\n")
        return f'"{kept}"' if match[0][0] in "\"'" else kept

    return LITERAL.sub(blank, text)


def is_script(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def check_spdx(path: Path, text: str) -> Iterator[tuple[int, str]]:
    wanted = path.suffix in CODE_SUFFIXES or path.name in ("Makefile", "meson_options.txt") or is_script(path)
    if wanted and "SPDX-License-Identifier: Apache-2.0" not in "\n".join(text.splitlines()[:3]):
        yield 1, "no SPDX line"


def check_words(path: Path, text: str) -> Iterator[tuple[int, str]]:
    if path.name == "check_style.py":
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if UNFINISHED.search(line):
            yield number, "unfinished work belongs into an issue"
        if REGISTRY_HOST.search(line):
            yield number, "names the host of a package registry"


def calls(code: str, names: list[str]) -> Iterator[tuple[int, str]]:
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(names) + r")\s*\(")
    for number, line in enumerate(code.splitlines(), start=1):
        for match in pattern.finditer(line):
            yield number, match[1]


def check_calls(code: str, place: Path) -> Iterator[tuple[int, str]]:
    top = place.parts[0]
    if top != "tests":  # tests work on their own literals
        for number, name in calls(code, BANNED):
            yield number, f"{name}() is banned"
    for number, line in enumerate(code.splitlines(), start=1):
        if re.search(r"\bgoto\b", line):
            yield number, "goto"
    if top != "src":
        return
    for number, name in calls(code, BANNED_IN_LIBRARY):
        if name not in MAY_CALL.get(place.as_posix(), ()):
            yield number, f"{name}() has no place in the library"
    for number, line in enumerate(code.splitlines(), start=1):
        if LIBRARY_STREAMS.search(line):
            yield number, "the library does not know the standard streams"


def check_raw_sizes(code: str) -> Iterator[tuple[int, str]]:
    for match in RAW_SIZE.finditer(code):
        size = re.sub(r"\bsizeof\s*(\([^)]*\)|\*?\s*\w+)", "1", match[1])
        if re.search(r"[\w)]\s*[*+]\s*[\w(]", size.split(",", 1)[-1]):
            yield code.count("\n", 0, match.start()) + 1, "size of an allocation computed without base/checked.h"


def check_function_lengths(code: str) -> Iterator[tuple[int, str]]:
    begin = 0
    for number, line in enumerate(code.splitlines(), start=1):
        if not begin and FUNCTION_BEGIN.match(line):
            begin = number
        elif line == "}" and begin:
            if number - begin + 1 > FUNCTION_LINES_MAX:
                yield begin, f"a function of {number - begin + 1} lines; the cap is {FUNCTION_LINES_MAX}"
            begin = 0


def check_c_file(root: Path, path: Path, text: str) -> Iterator[tuple[int, str]]:
    code = blanked(text)
    place = path.relative_to(root)
    parts = place.parts
    yield from check_calls(code, place)
    if parts[0] == "src" and parts[1] in PARSERS:
        yield from check_raw_sizes(code)
    if parts[0] != "tests":  # a table of cases may be long
        yield from check_function_lengths(code)
    if parts[0] == "include" and path.suffix == ".h" and "extern \"C\"" not in text and path.name != "weir.h":
        yield 1, "a public header without extern \"C\""


def check_unique_names(root: Path) -> list[str]:
    places: dict[str, list[str]] = defaultdict(list)
    for folder in ("src", "cli", "bench"):
        for path in sorted((root / folder).rglob("*.[ch]")):
            places[path.name].append(str(path.relative_to(root)))
    return [f"{paths[1]}:1: the name is taken by {paths[0]}" for paths in places.values() if len(paths) > 1]


def check(root: Path) -> list[str]:
    problems = check_unique_names(root)
    for path in code_files(root):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found = [*check_spdx(path, text), *check_words(path, text)]
        if path.suffix in (".c", ".h"):
            found += check_c_file(root, path, text)
        problems += [f"{path.relative_to(root)}:{number}: {what}" for number, what in found]
    return problems


def main() -> int:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    problems = check(root)
    print("\n".join(problems) if problems else "style: clean")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
