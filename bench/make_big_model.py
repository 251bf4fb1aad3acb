# SPDX-License-Identifier: Apache-2.0
"""Write a synthetic model with the shapes of Llama 2 7B: what a fingerprint of a real model costs.

Folder "safetensors": bf16, two shards and their index, config.json, a tokenizer.json of 32,000 strings (13.5 GB).
File "Q8_0.gguf" or "Q4_0.gguf": the same shapes and strings, blocks of random codes (7.2 or 3.8 GB).
Numbers are a stream of period PERIOD, a prime, so that no two rows of the model begin at the same place of it and
rows differ, while writing costs no more than copying. The same seed gives the same bytes. Norm gains are near
.4. Nothing is written where the wanted files are already there; what is written leaves the page cache again.

usage: make_big_model.py FOLDER [--layers 32] [--gguf Q8_0|Q4_0] [--seed 1]       prints the path of the model
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path

import gguf
import ml_dtypes
import numpy as np

HIDDEN, FEED_FORWARD, HEADS, VOCABULARY = 4096, 11008, 32, 32000
PERIOD = 16_777_259
SHARD_BYTES = 9_980_000_000
MATRICES = {
    "self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.k_proj": (HIDDEN, HIDDEN), "self_attn.v_proj": (HIDDEN, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN), "mlp.gate_proj": (FEED_FORWARD, HIDDEN),
    "mlp.up_proj": (FEED_FORWARD, HIDDEN), "mlp.down_proj": (HIDDEN, FEED_FORWARD),
    "input_layernorm": (HIDDEN,), "post_attention_layernorm": (HIDDEN,),
}  # fmt: skip
GGUF_NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip
SYLLABLES = [a + b for a in "bcdfghklmnprstvw" for b in ("a", "e", "i", "o", "u", "an", "er", "is")]
Shape = tuple[int, ...]


def shapes(layers: int) -> dict[str, Shape]:
    out: dict[str, Shape] = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN)}
    for layer in range(layers):
        out |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in MATRICES.items()}
    return out | {"model.norm.weight": (HIDDEN,), "lm_head.weight": (VOCABULARY, HIDDEN)}


def gguf_name(name: str) -> str:
    whole = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    stem = name.removesuffix(".weight")
    if stem in whole:
        return whole[stem] + ".weight"
    _, _, layer, rest = stem.split(".", 3)
    return f"blk.{layer}.{GGUF_NAMES[rest]}.weight"


class Stream:
    """Endless bytes of a repeated block; every piece begins where the last one ended."""

    def __init__(self, block: np.ndarray) -> None:
        self.block = memoryview(block.reshape(-1).view(np.uint8)).cast("B")
        self.at = 0

    def pieces(self, size: int) -> Iterator[memoryview]:
        while size:
            piece = self.block[self.at : self.at + size]
            self.at = (self.at + len(piece)) % len(self.block)
            size -= len(piece)
            yield piece


def bf16_stream(random: np.random.Generator) -> Stream:
    numbers = random.standard_normal(PERIOD, dtype=np.float32) * np.float32(0.02)
    return Stream(numbers.astype(ml_dtypes.bfloat16).view(np.uint16))


def block_stream(random: np.random.Generator, kind: gguf.GGMLQuantizationType) -> Stream:
    """Blocks of one f16 scale and 32 random codes; a prime count of them, for the same reason as PERIOD."""
    count = 524_309
    codes = gguf.GGML_QUANT_SIZES[kind][1] - 2
    blocks = np.empty((count, 2 + codes), np.uint8)
    scales = (0.001 * (1 + random.random(count))).astype(np.float16)
    blocks[:, :2] = scales.view(np.uint8).reshape(count, 2)
    blocks[:, 2:] = random.integers(0, 256, (count, codes), dtype=np.uint8)
    return Stream(blocks)


def gains(random: np.random.Generator) -> np.ndarray:
    return (0.4 + 0.05 * random.standard_normal(HIDDEN)).astype(np.float32)


def leave_cache(path: Path) -> None:
    """So that writing does not push out what others keep in memory."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def vocabulary(random: np.random.Generator) -> tuple[list[str], list[str]]:
    """Token strings as a llama tokenizer has them, and the merges that made the words."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *SYLLABLES, "\u2581"]
    seen, words, merges = set(tokens), ["\u2581", *SYLLABLES], []
    while len(tokens) < VOCABULARY:
        left, right = words[random.integers(len(words))], SYLLABLES[random.integers(len(SYLLABLES))]
        word = left + right
        if word not in seen:
            seen.add(word)
            tokens.append(word)
            merges.append(f"{left} {right}")
            if len(word) <= 12:
                words.append(word)
    return tokens, merges


def write_small_files(folder: Path, layers: int, random: np.random.Generator) -> None:
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
        "intermediate_size": FEED_FORWARD, "num_attention_heads": HEADS, "num_key_value_heads": HEADS,
        "num_hidden_layers": layers, "vocab_size": VOCABULARY, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False, "torch_dtype": "bfloat16",
    }  # fmt: skip
    tokens, merges = vocabulary(random)
    model = {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True,
             "vocab": {token: i for i, token in enumerate(tokens)}, "merges": merges}  # fmt: skip
    special = [{"id": i, "content": tokens[i], "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False, "special": True} for i in range(3)]  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0", "added_tokens": special, "model": model}))


def shards(wanted: dict[str, Shape]) -> list[list[str]]:
    out: list[list[str]] = [[]]
    left = SHARD_BYTES
    for name, shape in wanted.items():
        size = 2 * int(np.prod(shape))
        if size > left:
            out.append([])
            left = SHARD_BYTES
        out[-1].append(name)
        left -= size
    return out


def write_shard(path: Path, names: list[str], wanted: dict[str, Shape], stream: Stream, gain: np.ndarray) -> None:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name in names:
        size = 2 * int(np.prod(wanted[name]))
        header[name] = {"dtype": "BF16", "shape": list(wanted[name]), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            if len(wanted[name]) == 1:
                file.write(gain.astype(ml_dtypes.bfloat16).tobytes())
                continue
            for piece in stream.pieces(2 * int(np.prod(wanted[name]))):
                file.write(piece)
    leave_cache(path)


def write_safetensors(folder: Path, layers: int, seed: int) -> Path:
    index = folder / "model.safetensors.index.json"
    if index.exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    write_small_files(folder, layers, random)
    wanted = shapes(layers)
    stream, gain = bf16_stream(random), gains(random)
    parts = shards(wanted)
    weight_map = {}
    for number, names in enumerate(parts, start=1):
        file = f"model-{number:05}-of-{len(parts):05}.safetensors"
        write_shard(folder / file, names, wanted, stream, gain)
        weight_map |= dict.fromkeys(names, file)
    total = sum(2 * int(np.prod(shape)) for shape in wanted.values())
    # Last, because it says that the rest is there.
    index.write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}))
    return folder


def add_settings(writer: gguf.GGUFWriter, layers: int, random: np.random.Generator) -> None:
    writer.add_name("synthetic 7B")
    writer.add_block_count(layers)
    writer.add_context_length(4096)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCABULARY)
    tokens, merges = vocabulary(random)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([2, 3, 3, *[6] * 256, *[1] * (len(tokens) - 259)])
    writer.add_token_merges(merges)


def write_gguf(path: Path, layers: int, seed: int, kind: gguf.GGMLQuantizationType) -> Path:
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    part = path.with_suffix(".part")
    writer = gguf.GGUFWriter(part, "llama")
    add_settings(writer, layers, random)
    wanted = shapes(layers)
    per_block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    sizes = []
    for name, shape in wanted.items():
        count = int(np.prod(shape))
        sizes.append(4 * count if len(shape) == 1 else count // per_block * block_bytes)
        type_ = gguf.GGMLQuantizationType.F32 if len(shape) == 1 else kind
        writer.add_tensor_info(gguf_name(name), shape, np.dtype(np.float32), sizes[-1], type_)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    assert writer.fout
    file = writer.fout[0]
    writer.write_padding(file, file.tell())
    stream, gain = block_stream(random, kind), gains(random).tobytes()
    for shape, size in zip(wanted.values(), sizes, strict=True):
        for piece in [gain] if len(shape) == 1 else stream.pieces(size):
            file.write(piece)
        writer.write_padding(file, size)
    writer.close()
    leave_cache(part)
    part.replace(path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--gguf", choices=["Q8_0", "Q4_0"])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.gguf:
        kind = gguf.GGMLQuantizationType[options.gguf]
        print(write_gguf(options.folder / f"{options.gguf}.gguf", options.layers, options.seed, kind))
    else:
        print(write_safetensors(options.folder / "safetensors", options.layers, options.seed))


if __name__ == "__main__":
    main()
