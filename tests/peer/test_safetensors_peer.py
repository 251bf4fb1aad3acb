# SPDX-License-Identifier: Apache-2.0
"""Which safetensors files weir accepts, compared with the reference library.

Peer: safetensors (PyPI, 0.8.0 when this was written). Files are small headers with their data, altered at
random: tokens and bytes are swapped, doubled, dropped, replaced. Then
  - what weir accepts strictly, the library accepts;
  - what weir accepts with --lenient is exactly what the library accepts, with the same number of tensors.
weir's own limits (rank 16, names of 1 KiB) are kept out of the files.

    WEIR_BUILD=build python -m unittest discover --start-directory tests/peer
"""

from __future__ import annotations

import os
import random
import re
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

import safetensors

BUILD = Path(os.environ.get("WEIR_BUILD", Path(__file__).parents[2] / "build"))
VERDICT = BUILD / "tests" / "peer" / "safetensors_verdict"
FILES = int(os.environ.get("WEIR_PEER_FILES", "4000"))

ONE = '"dtype":"F32","shape":[1],"data_offsets":[0,4]'
TWO = '"dtype":"BF16","shape":[2,1],"data_offsets":[4,8]'
NONE = '"dtype":"F4","shape":[0,7],"data_offsets":[8,8]'
ALL = f'{{"__metadata__":{{"a":"b","c":"\\u00e9"}},"w":{{{ONE}}},"v":{{{TWO}}},"z":{{{NONE}}}}}'
BASES = (
    ALL,
    f'{{"v":{{{TWO}}},"w":{{{ONE}}}}}  ',
    f'{{"w":["F32",[1],[0,4]],"v":{{{TWO}}}}}',
    f'{{"__metadata__":null,"w":{{{ONE}}},"w":{{"dtype":{{"F32":null}},"shape":[1],"data_offsets":[0,4]}},"v":{{{TWO}}}}}',
    f'{{"w":{{{ONE},"x":[1e3,{{"y":"\\ud83d\\ude00","z":[true,false,null]}}]}},"v":{{{TWO}}}}}',
)
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[-+.\w]+|\s+|.', re.DOTALL)
WORDS = (
    '"__metadata__" "w" "v" "" "dtype" "shape" "data_offsets" "F32" "BF16" "F4" "F6_E2M3" "U8" "Q4_0" "x" '
    '"\\u0077" "a\\u0000b" "\\ud800" "\\x" { } [ ] , : null true 0 -0 1 2 4 8 -1 1.0 1e0 1e999 01 '
    "18446744073709551615 18446744073709551616 9223372036854775808 NaN"
)
PIECES = WORDS.split() + [" ", "\n", "\t", "\0", "\u00e9", "{}", "[]", '{"F32":null}', '"a":"b",', '"x":1,']


def alter_tokens(text: str, rng: random.Random) -> str:
    tokens = TOKEN.findall(text)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(tokens))
        action = rng.randrange(5)
        if action == 0:
            tokens[at] = rng.choice(PIECES)
        elif action == 1:
            tokens.insert(at, rng.choice(PIECES))
        elif action == 2 and len(tokens) > 1:
            del tokens[at]
        elif action == 3:
            end = min(len(tokens), at + rng.randrange(1, 20))
            tokens[end:end] = tokens[at:end]
        else:
            other = rng.randrange(len(tokens))
            tokens[at], tokens[other] = tokens[other], tokens[at]
    return "".join(tokens)


def alter_bytes(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    action = rng.randrange(4)
    if action == 0:
        return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    if action == 1:
        return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
    if action == 2:
        return data[:at] + bytes([rng.randrange(256)]) + data[at:]
    return data[:at] + data[at + 1 :]


def make_file(rng: random.Random) -> bytes:
    text = rng.choice(BASES)
    header = text.encode()
    if rng.random() < 0.7:
        header = alter_tokens(text, rng).encode()
    data = bytes(rng.choice((8, 8, 8, 8, 4, 9)))
    data = struct.pack("<Q", len(header)) + header + data
    return alter_bytes(data, rng) if rng.random() < 0.3 else data


def deep_files() -> list[bytes]:
    """The library's limit of nesting, from both sides, where it takes any value."""
    files = []
    for depth in (3, 8, 60, 120, 123, 124, 125, 126, 127, 128, 129):
        header = f'{{"w":{{{ONE},"x":{"[" * depth}{"]" * depth}}}}}'.encode()
        files.append(struct.pack("<Q", len(header)) + header + bytes(4))
    return files


def library_count(data: bytes) -> int | None:
    try:
        return len(safetensors.deserialize(data))
    except safetensors.SafetensorError:
        return None


def weir_counts(paths: list[Path], *options: str) -> list[tuple[int | None, str]]:
    counts: list[tuple[int | None, str]] = []
    for start in range(0, len(paths), 500):
        command = [VERDICT, *options, *(str(path) for path in paths[start : start + 500])]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        for line in run.stdout.splitlines():
            outcome, _, _, rest = line.split("\t", 3)
            counts.append((int(rest) if outcome == "ok" else None, line))
    return counts


class Headers(unittest.TestCase):
    def test_weir_accepts_what_the_library_accepts(self) -> None:
        rng = random.Random(20)
        files = [make_file(rng) for _ in range(FILES)] + deep_files()
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / f"{index}.safetensors" for index in range(len(files))]
            for path, data in zip(paths, files, strict=True):
                path.write_bytes(data)
            strict = weir_counts(paths)
            lenient = weir_counts(paths, "--lenient")
        self.assertEqual(len(strict), len(files))
        self.assertEqual(len(lenient), len(files))
        accepted = 0
        for data, (strict_count, strict_line), (lenient_count, lenient_line) in zip(
            files, strict, lenient, strict=True
        ):
            expected = library_count(data)
            accepted += expected is not None
            self.assertEqual(lenient_count, expected, f"{data!r}\n{lenient_line}")
            if strict_count is not None:
                self.assertEqual(strict_count, expected, f"{data!r}\n{strict_line}")
        self.assertGreater(accepted, len(files) // 20)
        self.assertGreater(len(files) - accepted, len(files) // 20)
        strict_accepted = sum(count is not None for count, _ in strict)
        print(f"{len(files)} files: library {accepted}, strict {strict_accepted}")


if __name__ == "__main__":
    unittest.main()
