# SPDX-License-Identifier: Apache-2.0
"""Make a downstream remix of a GGUF model, as a stand-in for what people publish.

Two things are done, as remixes often do both:
  1. Directional edit. A neutral direction d in the residual stream, from English towards French function
     words in the token embedding, is taken out of what the middle layers write to it:
     W' = W - d d^T W for the attention output and feed-forward down projections.
  2. Another quantisation. Q4_1 values, edited or not, are stored as Q8_0.
Norms stay as they are; metadata is copied, with another name and file type.

usage: make_remix.py UPSTREAM.gguf REMIX.gguf [--layers FIRST-LAST]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter

FRENCH = ["le", "la", "les", "des", "une", "pour", "dans", "avec", "sur", "est"]
ENGLISH = ["the", "of", "and", "for", "with", "in", "on", "is", "that", "this"]
EDITED = ("attn_output.weight", "ffn_down.weight")


def token_rows(reader: GGUFReader, words: list[str]) -> list[int]:
    """Embedding rows of the words that are one token (a leading space is stored as U+0120)."""
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    index = {token: row for row, token in enumerate(tokens)}
    return [index["\u0120" + word] for word in words if "\u0120" + word in index]


def neutral_direction(reader: GGUFReader) -> np.ndarray:
    embedding = next(t for t in reader.tensors if t.name == "token_embd.weight")
    values = gguf.dequantize(embedding.data, embedding.tensor_type)
    french = values[token_rows(reader, FRENCH)].mean(axis=0)
    english = values[token_rows(reader, ENGLISH)].mean(axis=0)
    direction = (french - english).astype(np.float64)
    return direction / np.linalg.norm(direction)


def remixed(tensor: gguf.ReaderTensor, direction: np.ndarray, layers: range) -> np.ndarray:
    """Values of one tensor after the edit, [outputs, inputs]."""
    values = gguf.dequantize(tensor.data, tensor.tensor_type)
    parts = tensor.name.split(".", 2)
    if parts[0] == "blk" and int(parts[1]) in layers and parts[2] in EDITED:
        values = values - np.outer(direction, direction @ values)
    return np.ascontiguousarray(values, dtype=np.float32)


def copy_metadata(reader: GGUFReader, writer: GGUFWriter) -> None:
    changed = {
        "general.name": reader.fields["general.name"].contents() + " remix",
        "general.file_type": int(gguf.LlamaFileType.MOSTLY_Q8_0),
    }
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        sub_type = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        value = changed.get(key, field.contents())
        writer.add_key_value(key, value, field.types[0], sub_type)


def make_remix(upstream: Path, remix: Path, layers: range) -> None:
    reader = GGUFReader(upstream)
    writer = GGUFWriter(remix, reader.fields["general.architecture"].contents())
    copy_metadata(reader, writer)
    direction = neutral_direction(reader)
    for tensor in reader.tensors:
        if tensor.tensor_type == GGMLQuantizationType.Q4_1:
            codes = gguf.quantize(remixed(tensor, direction, layers), GGMLQuantizationType.Q8_0)
            writer.add_tensor(tensor.name, codes, raw_dtype=GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="make a downstream remix of a GGUF model")
    parser.add_argument("upstream", type=Path)
    parser.add_argument("remix", type=Path)
    parser.add_argument("--layers", default="10-19", help="first and last edited layer")
    options = parser.parse_args()
    first, last = (int(number) for number in options.layers.split("-"))
    part = options.remix.with_suffix(".part")
    make_remix(options.upstream, part, range(first, last + 1))
    part.replace(options.remix)


if __name__ == "__main__":
    main()
