# SPDX-License-Identifier: Apache-2.0
"""The plain way to compare two models: read everything, take the cosine of every pair of equally named matrices.

What anyone would write first, and what bench_trace_peers.py sets beside `weir trace`. Safetensors folders and GGUF
files (names of a llama mapped, rows of q and k put back); matrices only, because norm gains of strangers are
alike. "linked" when the median cosine is above .1, which is this script's own line.

usage: compare_whole.py A B      prints JSON
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import gguf
import ml_dtypes
import numpy as np

LINKED_ABOVE = 0.1
DTYPES = {"BF16": ml_dtypes.bfloat16, "F16": np.float16, "F32": np.float32}
GGUF_NAMES = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "token_embd": "model.embed_tokens", "output": "lm_head",
}  # fmt: skip
Matrix = tuple[int, Callable[[], np.ndarray]]  # bytes as stored; how to read it


def read_stored(path: Path, offset: int, size: int, dtype: object, shape: list[int]) -> np.ndarray:
    with path.open("rb") as file:
        file.seek(offset)
        return np.frombuffer(file.read(size), dtype).reshape(shape).astype(np.float32)


def safetensors_matrices(folder: Path) -> Iterator[tuple[str, Matrix]]:
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size))
        for name, about in header.items():
            if name != "__metadata__" and len(about["shape"]) == 2:
                begin, end = about["data_offsets"]
                place = (path, 8 + size + begin, end - begin, DTYPES[about["dtype"]], about["shape"])
                yield name, (end - begin, lambda place=place: read_stored(*place))


def gguf_matrices(path: Path) -> Iterator[tuple[str, Matrix]]:
    reader = gguf.GGUFReader(path)
    heads = int(reader.fields["llama.attention.head_count"].contents())
    for tensor in reader.tensors:
        parts = tensor.name.split(".")
        stem = parts[-2]
        if len(tensor.shape) != 2 or stem not in GGUF_NAMES:
            continue
        name = f"model.layers.{parts[1]}.{GGUF_NAMES[stem]}" if parts[0] == "blk" else GGUF_NAMES[stem]

        def read(tensor: gguf.ReaderTensor = tensor, turned: bool = stem in ("attn_q", "attn_k")) -> np.ndarray:
            values = gguf.dequantize(tensor.data, tensor.tensor_type)
            rows, cols = values.shape
            if turned:
                values = values.reshape(heads, rows // heads // 2, 2, cols).swapaxes(1, 2).reshape(rows, cols)
            return values

        yield f"{name}.weight", (int(tensor.n_bytes), read)


def matrices(path: Path) -> dict[str, Matrix]:
    return dict(safetensors_matrices(path) if path.is_dir() else gguf_matrices(path))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    x, y = a.ravel(), b.ravel()
    norm = float(np.linalg.norm(x)) * float(np.linalg.norm(y))
    return float(np.dot(x, y)) / norm if norm else 0.0


def main() -> None:
    mine, theirs = (matrices(Path(argument)) for argument in sys.argv[1:3])
    cosines, read_bytes, unpaired = [], 0, 0
    for name, (size, read) in mine.items():
        if name not in theirs:
            unpaired += 1
            continue
        a, b = read(), theirs[name][1]()
        read_bytes += size + theirs[name][0]
        if a.shape == b.shape:
            cosines.append(cosine(a, b))
        else:
            unpaired += 1
    median = statistics.median(cosines) if cosines else 0.0
    result = {"verdict": "linked" if median > LINKED_ABOVE else "not linked", "median_cosine": round(median, 4),
              "matrices": len(cosines), "unpaired": unpaired, "bytes_read": read_bytes}  # fmt: skip
    print(json.dumps(result))


if __name__ == "__main__":
    main()
