# SPDX-License-Identifier: Apache-2.0
"""llama.cpp's own quantiser, by ctypes, in a process of its own: an assertion in it ends the process.

usage: llama_library.py SOURCE.gguf TARGET.gguf FILE_TYPE

The libraries come from a pinned package whose hash tools/llama-libraries checks; WEIR_LLAMA_LIBRARIES
names their folder. The head of llama_model_quantize_params is all that is touched: its first fields
(threads, file type) have kept their places.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

from rows import Unavailable

# llama_ftype of llama.h.
FILE_TYPES = {"Q2_K": 10, "Q3_K_M": 12, "Q4_K_M": 15, "Q5_K_M": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30}
PARAMETER_BYTES = 4096  # more than the structure ever was


class Parameters(ctypes.Structure):
    _fields_ = [("threads", ctypes.c_int32), ("file_type", ctypes.c_int32),
                ("rest", ctypes.c_uint8 * (PARAMETER_BYTES - 8))]


def quantise(source: Path, target: Path, kind: str) -> None:
    if not os.environ.get("WEIR_LLAMA_LIBRARIES"):
        raise Unavailable("no llama.cpp libraries (tools/llama-libraries)")
    done = subprocess.run([sys.executable, __file__, source, target, str(FILE_TYPES[kind])],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"llama.cpp could not make {target.name}: {done.stderr[-2000:]}")


def main() -> int:
    folder = Path(os.environ["WEIR_LLAMA_LIBRARIES"])
    for name in ("libggml-base", "libggml", "libllama"):
        library = ctypes.CDLL(str(next(folder.glob(f"{name}.*so*"))), mode=ctypes.RTLD_GLOBAL)
        if name == "libggml":
            library.ggml_backend_load_all_from_path(str(folder).encode())
    library.llama_model_quantize_default_params.restype = Parameters
    parameters = library.llama_model_quantize_default_params()
    parameters.threads, parameters.file_type = 1, int(sys.argv[3])
    return int(library.llama_model_quantize(sys.argv[1].encode(), sys.argv[2].encode(),
                                            ctypes.byref(parameters)))


if __name__ == "__main__":
    sys.exit(main())
