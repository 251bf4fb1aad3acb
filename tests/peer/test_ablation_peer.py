# SPDX-License-Identifier: Apache-2.0
"""What weir says of edits of the residual stream that numpy made, and of an empty direction.

Directions are drawn; the weights have no meaning.

    WEIR_BUILD=build python -m unittest discover --start-directory tests/peer
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

BUILD = Path(os.environ.get("WEIR_BUILD", Path(__file__).parents[2] / "build"))
PROGRAMS = BUILD / "tests" / "peer"
HIDDEN, UNITS, LAYERS, WORDS = 64, 160, 6, 512
Tensors = dict[str, np.ndarray]
CONFIG = {"model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": UNITS, "num_attention_heads": 4,
          "num_hidden_layers": LAYERS, "vocab_size": WORDS}
EMBEDDING = "model.embed_tokens.weight"


def names(layer: int) -> tuple[str, str]:
    prefix = f"model.layers.{layer}."
    return prefix + "self_attn.o_proj.weight", prefix + "mlp.down_proj.weight"


def llama(seed: int) -> Tensors:
    """Rows of unequal size and columns that share directions, as training leaves them."""
    rng = np.random.default_rng(seed)
    mixing = np.linalg.qr(rng.standard_normal((HIDDEN, HIDDEN)))[0] * np.geomspace(3, 0.3, HIDDEN)
    tensors = {EMBEDDING: rng.standard_normal((WORDS, HIDDEN)) @ mixing.T}
    for layer in range(LAYERS):
        for name, cols in zip(names(layer), (HIDDEN, UNITS), strict=True):
            tensors[name] = mixing @ rng.standard_normal((HIDDEN, cols))
    return {name: (0.02 * values).astype(ml_dtypes.bfloat16) for name, values in tensors.items()}


def edited(tensors: Tensors, edit: Callable[[str, np.ndarray], np.ndarray]) -> Tensors:
    """`edit` sees every matrix with the residual stream as its rows."""
    found = {}
    for name, values in tensors.items():
        wide = values.astype(np.float64)
        turned = name == EMBEDDING
        matrix = edit(name, wide.T if turned else wide)
        found[name] = np.ascontiguousarray(matrix.T if turned else matrix).astype(ml_dtypes.bfloat16)
    return found


def write(folder: Path, tensors: Tensors) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    save_file(tensors, folder / "model.safetensors")
    return folder


def direction(seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).standard_normal(HIDDEN)
    return np.asarray(vector / np.linalg.norm(vector))


def strength(name: str) -> float:
    """A tent over the layers, another one for each kind of matrix; none in the embedding."""
    if name == EMBEDDING:
        return 0.0
    layer = int(name.split(".")[2])
    return 1.2 - 0.15 * abs(layer - 4) if "o_proj" in name else 0.9 - 0.1 * abs(layer - 3)


class Ablation(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.tensors = llama(1)
        self.base = write(self.folder / "base", self.tensors)

    def output(self, edit: Callable[[str, np.ndarray], np.ndarray], threads: int = 1) -> str:
        model = self.folder / "model"
        if not model.exists():
            write(model, edited(self.tensors, edit))
        return subprocess.run([PROGRAMS / "ablation_dump", str(threads)], input=f"{self.base}\t{model}\n",
                              check=True, capture_output=True, text=True).stdout

    def verdict(self, edit: Callable[[str, np.ndarray], np.ndarray]) -> dict[str, Any]:
        return dict(json.loads(self.output(edit)))

    def test_strengths_by_matrix_are_those_of_the_edit(self) -> None:
        u = direction(2)
        found = self.verdict(lambda name, matrix: matrix - strength(name) * np.outer(u, u @ matrix))
        self.assertEqual((found["answer"], found["scope"], found["directions"]), ("yes", "global", 1))
        wanted = {f"layers.{layer}.{kind}": strength(name) for layer in range(LAYERS)
                  for kind, name in zip(("o", "down"), names(layer), strict=True)}
        for matrix in found["matrices"]:
            self.assertAlmostEqual(matrix["lambda"], wanted.get(matrix["name"], 0.0), delta=0.02)

    def test_a_direction_for_each_layer_is_told_as_such(self) -> None:
        def edit(name: str, matrix: np.ndarray) -> np.ndarray:
            if name == EMBEDDING:
                return matrix
            u = direction(10 + int(name.split(".")[2]))
            return matrix - np.outer(u, u @ matrix)

        found = self.verdict(edit)
        self.assertEqual((found["answer"], found["scope"]), ("yes", "layer"))

    def test_two_directions_are_counted(self) -> None:
        basis = np.linalg.qr(np.random.default_rng(3).standard_normal((HIDDEN, 2)))[0]
        found = self.verdict(lambda name, matrix: matrix - 0.8 * basis @ (basis.T @ matrix))
        self.assertEqual((found["answer"], found["directions"]), ("yes", 2))

    def test_an_edit_under_noise_of_its_own_size_is_found_by_the_eigenvalues(self) -> None:
        u = direction(2)
        rng = np.random.default_rng(5)
        found = self.verdict(lambda name, matrix: matrix - np.outer(u, u @ matrix)
                             + 0.15 * matrix.std() * rng.standard_normal(matrix.shape))
        self.assertEqual(found["answer"], "yes")
        self.assertTrue(found["by_eigen"])
        self.assertLess(found["eigen"], 0.2)

    def test_what_only_looks_like_it_is_not_ablated(self) -> None:
        u, axis = direction(2), np.eye(HIDDEN)[5]
        rng = np.random.default_rng(4)

        def top_shrunk(name: str, matrix: np.ndarray) -> np.ndarray:
            left, values, right = np.linalg.svd(matrix, full_matrices=False)
            return np.asarray(matrix - 0.5 * values[0] * np.outer(left[:, 0], right[0]))

        def shared_left(name: str, matrix: np.ndarray) -> np.ndarray:
            return matrix + 0.1 * np.outer(u, rng.standard_normal(matrix.shape[1])) * matrix.std()

        for edit in (lambda name, matrix: 0.97 * matrix,
                     lambda name, matrix: matrix - np.outer(axis, axis @ matrix),
                     lambda name, matrix: matrix - matrix.mean(0),
                     lambda name, matrix: matrix - 2 * np.outer(u, u @ matrix),
                     lambda name, matrix: matrix + 0.5 * np.outer(u, u @ matrix),
                     top_shrunk, shared_left):
            with self.subTest(edit=edit):
                for file in (self.folder / "model").glob("*"):
                    file.unlink()
                if (self.folder / "model").exists():
                    (self.folder / "model").rmdir()
                self.assertEqual(self.verdict(edit)["answer"], "no")

    def test_the_figures_do_not_depend_on_the_threads(self) -> None:
        u = direction(2)

        def edit(name: str, matrix: np.ndarray) -> np.ndarray:
            return matrix - 0.5 * np.outer(u, u @ matrix)

        self.assertEqual(self.output(edit), self.output(edit, threads=3))

    def test_no_direction_is_told(self) -> None:
        u = direction(2)
        found = self.verdict(lambda name, matrix: matrix - np.outer(u, u @ matrix))
        self.assertFalse([value for value in found.values() if isinstance(value, list)
                          and any(isinstance(item, float) for item in value)])


class EmptyDirection(unittest.TestCase):
    def ask(self, tensors: Tensors) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            model = write(Path(folder) / "model", tensors)
            done = subprocess.run([PROGRAMS / "empty_direction_dump"], input=f"{model}\n", check=True,
                                  capture_output=True, text=True)
        return dict(json.loads(done.stdout))

    def numpy_ratio(self, tensors: Tensors) -> float:
        total = np.zeros((HIDDEN, HIDDEN))
        vectors = 8 * HIDDEN // (2 * LAYERS) + 1  # of each matrix, at most; evenly spaced
        for layer in range(LAYERS):
            for name in names(layer):
                matrix = tensors[name].astype(np.float64)
                matrix = matrix[:, :: -(-matrix.shape[1] // vectors)]
                total += matrix @ matrix.T / (matrix**2).sum()
        size = np.sqrt(np.diag(total))
        values = np.linalg.eigvalsh(total / np.outer(size, size))
        return float(values[0] / values[1])

    def test_the_ratio_is_numpys(self) -> None:
        tensors = llama(1)
        found = self.ask(tensors)
        self.assertEqual(found["answer"], "none")
        self.assertAlmostEqual(found["ratio"], self.numpy_ratio(tensors), delta=0.01)

    def test_full_ablation_is_found_and_half_is_not(self) -> None:
        u = direction(2)
        for part, answer in ((1.0, "found"), (0.5, "none")):
            tensors = edited(llama(1), lambda name, matrix, part=part:  # type: ignore[misc]
                             matrix - part * np.outer(u, u @ matrix))
            self.assertEqual(self.ask(tensors)["answer"], answer)

    def test_a_zeroed_dimension_and_the_mean_are_no_empty_direction(self) -> None:
        axis = np.eye(HIDDEN)[5]
        for edit in (lambda name, matrix: matrix - np.outer(axis, axis @ matrix),
                     lambda name, matrix: matrix - matrix.mean(0)):
            self.assertEqual(self.ask(edited(llama(1), edit))["answer"], "none")


if __name__ == "__main__":
    unittest.main()
