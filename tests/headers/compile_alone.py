# SPDX-License-Identifier: Apache-2.0
"""Every public header compiles alone, as strict C17 and as C++17, twice in a row.

usage: compile_alone.py INCLUDE_FOLDER CC [CXX]     CC and CXX may hold several words
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]


def compile_alone(compiler: list[str], language: str, include: Path, header: Path) -> str:
    """The compiler's complaint, or nothing."""
    name = header.relative_to(include)
    twice = f'#include "{name}"\n#include "{name}"\n'
    command = [*compiler, *STRICT, "-I", str(include), "-x", language.partition(":")[0],
               "-std=" + language.partition(":")[2], "-"]
    return subprocess.run(command, input=twice, text=True, capture_output=True, check=False).stderr


def main() -> int:
    include = Path(sys.argv[1])
    compilers = [("c:c17", shlex.split(sys.argv[2]))]
    compilers += [("c++:c++17", shlex.split(word)) for word in sys.argv[3:]]
    headers = sorted(include.rglob("*.h"))
    failed = 0
    print(f"1..{len(headers) * len(compilers)}")
    number = 0
    for language, compiler in compilers:
        for header in headers:
            number += 1
            complaint = compile_alone(compiler, language, include, header)
            failed += bool(complaint)
            verdict = "not ok" if complaint else "ok"
            print(f"{verdict} {number} - {header.name} is whole as {language.partition(':')[2]}")
            print("".join(f"# {line}\n" for line in complaint.splitlines()), end="")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
