# SPDX-License-Identifier: Apache-2.0
"""Write a safetensors file whose header has many tensors, with names and shapes as in a mixture of experts.

The data is a hole in the file, so that a file of any size costs only its header on disk.

    python bench/make_big_header.py OUT.safetensors [--tensors 750000] [--header-bytes 99000000]
"""

from __future__ import annotations

import argparse
import struct
from pathlib import Path

PARTS = ("down_proj.weight", "gate_proj.weight", "up_proj.weight")
EXPERTS = 256
NAME_EXTRA_MAX = 64


def entry(index: int, begin: int, extra: str) -> tuple[str, int]:
    """The header's text of one tensor, and where its data ends."""
    layer, rest = divmod(index, EXPERTS * len(PARTS))
    expert, part = divmod(rest, len(PARTS))
    name = f"model.layers.{layer}.mlp.experts.{expert}.{extra}{PARTS[part]}"
    rows, cols = 1 + index % 7, 8
    end = begin + rows * cols * 2
    text = f'"{name}":{{"dtype":"BF16","shape":[{rows},{cols}],"data_offsets":[{begin},{end}]}}'
    return text, end


def header(tensors: int, wanted_bytes: int) -> tuple[bytes, int]:
    """A header of at most `wanted_bytes`, padded with spaces to them, and the size of the data."""
    plain = sum(len(entry(i, i * 64, "")[0]) + 1 for i in range(0, tensors, 97)) * 97
    extra = "x" * max(0, min(NAME_EXTRA_MAX, (wanted_bytes - plain) // tensors - 2))
    extra = extra[:-1] + "." if extra else ""
    end = 0
    texts = []
    for index in range(tensors):
        text, end = entry(index, end, extra)
        texts.append(text)
    data = ("{" + ",".join(texts) + "}").encode()
    if len(data) > wanted_bytes:
        raise SystemExit(f"{tensors} tensors need {len(data)} bytes of header")
    return data.ljust(wanted_bytes), end


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--tensors", type=int, default=750_000)
    arguments.add_argument("--header-bytes", type=int, default=99_000_000)
    chosen = arguments.parse_args()
    data, data_bytes = header(chosen.tensors, chosen.header_bytes)
    with chosen.out.open("wb") as file:
        file.write(struct.pack("<Q", len(data)))
        file.write(data)
        file.truncate(8 + len(data) + data_bytes)


if __name__ == "__main__":
    main()
