# SPDX-License-Identifier: Apache-2.0
"""A family of two-layer models: one base, and what people do to models, each as a file or folder.

usage: make_zoo.py FOLDER      writes FOLDER/base and its descendants; prints their paths
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from models import CONFIG, llama_tensors, write_folder, write_gguf, write_shards  # noqa: E402

Tensors = dict[str, np.ndarray]


def write_bfloat16(folder: Path, tensors: Tensors) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | {"torch_dtype": "bfloat16"}))
    cast = {name: values.astype(ml_dtypes.bfloat16) for name, values in tensors.items()}
    save_file(cast, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def tuned(tensors: Tensors, names: tuple[str, ...], seed: int) -> Tensors:
    """A small step of every matrix whose name holds one of `names`."""
    random = np.random.default_rng(seed)
    return {
        name: (values + 0.02 * values.std() * random.standard_normal(values.shape)).astype(np.float32)
        if values.ndim == 2 and any(part in name for part in names) else values
        for name, values in tensors.items()
    }


def main() -> None:
    folder = Path(sys.argv[1])
    base = llama_tensors(7)
    made = [
        write_folder(folder / "base", base),
        write_shards(folder / "sharded", base),
        write_bfloat16(folder / "bfloat16", base),
        write_folder(folder / "tuned-all", tuned(base, ("",), 1)),
        write_folder(folder / "tuned-last-layer", tuned(base, ("layers.1.",), 2)),
        write_folder(folder / "unrelated", llama_tensors(8)),
        write_gguf(folder / "f32.gguf", base),
    ]
    for kind in ("F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"):
        made.append(write_gguf(folder / f"{kind.lower()}.gguf", base, kind))
    print("\n".join(map(str, made)))


if __name__ == "__main__":
    main()
