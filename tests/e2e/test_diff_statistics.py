# SPDX-License-Identifier: Apache-2.0
"""What diff says of tensors, against numpy and gguf-py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import ml_dtypes
import numpy as np
import pytest
from conftest import Weir, check_schema
from models import CONFIG, Tensors, llama_tensors, write_folder, write_gguf, write_shards
from safetensors.numpy import save_file

Q_PROJ = "model.layers.1.self_attn.q_proj.weight"


def run(weir: Weir, base: Path, model: Path, *more: str) -> dict[str, Any]:
    result = weir("diff", base, model, "--json", *more)
    assert result.code == 0, result.err
    value = result.json()
    check_schema(value)
    return value


def by_name(value: dict[str, Any]) -> dict[str, Any]:
    return {row["name"]: row for row in value["tensors"]}


def classes(value: dict[str, Any]) -> list[str]:
    return [change["class"] for change in value["changes"]]


def cast(tensors: Tensors, dtype: Any) -> Tensors:
    return {name: values.astype(dtype) for name, values in tensors.items()}


def test_statistics_are_numpys(weir: Weir, tmp_path: Path) -> None:
    base = llama_tensors()
    model = dict(base)
    random = np.random.default_rng(7)
    edited = base[Q_PROJ] + random.standard_normal(base[Q_PROJ].shape).astype(np.float32) * np.float32(0.01)
    edited[:8] = base[Q_PROJ][:8]
    model[Q_PROJ] = edited
    a, b = base[Q_PROJ].astype(np.float64), edited.astype(np.float64)

    value = run(weir, write_folder(tmp_path / "a", base), write_folder(tmp_path / "b", model))

    row = by_name(value)["layers.1.q"]
    assert row["rel_norm"] == pytest.approx(np.linalg.norm(b - a) / np.linalg.norm(a), rel=1e-5)
    assert row["cosine"] == pytest.approx(np.vdot(a, b) / np.linalg.norm(a) / np.linalg.norm(b), rel=1e-5)
    assert row["unchanged"] == pytest.approx(np.mean(a == b), rel=1e-5)
    assert row["max_abs_change"] == pytest.approx(np.abs(b - a).max(), rel=1e-5)
    assert row["sign_agreement"] == pytest.approx(np.mean(np.sign(a) == np.sign(b)), rel=1e-5)
    assert row["class"] == "full_rank"  # drawn number by number, but not in all rows
    others = [r for name, r in by_name(value).items() if name != "layers.1.q"]
    assert {r["class"] for r in others} == {"identical"}
    partial = next(c for c in value["changes"] if c["class"] == "partial")
    assert partial["modules"] == ["q"] and partial["layers"] == [1] and partial["grade"] == "proved"
    assert value["unexplained"] == 1


def test_nan_and_inf_are_counted_and_leave_the_rest_measured(weir: Weir, tmp_path: Path) -> None:
    base = llama_tensors()
    model = {name: values.copy() for name, values in base.items()}
    model[Q_PROJ][0, :3] = np.nan
    model[Q_PROJ][1, :2] = np.inf

    value = run(weir, write_folder(tmp_path / "a", base), write_folder(tmp_path / "b", model))

    row = by_name(value)["layers.1.q"]
    assert (row["nan"], row["inf"], row["base_nan"], row["base_inf"]) == (3, 2, 0, 0)
    assert row["rel_norm"] == 0
    assert row["class"] == "unknown"


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16])
def test_a_cast_is_proved_and_its_direction_known(weir: Weir, tmp_path: Path, dtype: Any) -> None:
    base = llama_tensors()

    value = run(weir, write_folder(tmp_path / "a", base), write_folder(tmp_path / "b", cast(base, dtype)))

    assert value["relation"] == "derived" and value["direction"] == "from" and value["grade"] == "proved"
    assert "cast" in classes(value)
    assert value["unexplained"] == 0
    assert {row["replayed"] for row in value["tensors"]} == {1}


def test_a_lossless_cast_does_not_tell_the_direction(weir: Weir, tmp_path: Path) -> None:
    half = cast(llama_tensors(), np.float16)

    value = run(weir, write_folder(tmp_path / "a", half),
                write_folder(tmp_path / "b", cast(half, np.float32)))

    assert value["relation"] == "related" and value["direction"] == "unknown"
    assert "cast" in classes(value)


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_quantisation_is_re_derived_across_containers(weir: Weir, tmp_path: Path, kind: str) -> None:
    base = cast(llama_tensors(), ml_dtypes.bfloat16)
    quantised = write_gguf(tmp_path / "b.gguf", cast(base, np.float32), kind)

    value = run(weir, write_folder(tmp_path / "a", base), quantised)

    assert value["relation"] == "derived" and value["direction"] == "from"
    change = next(c for c in value["changes"] if c["class"] == "quantised")
    assert change["type"] == kind and change["from"] == "BF16" and change["grade"] == "proved"
    assert value["unexplained"] == 0
    assert "repackaged" in classes(value)


def test_one_edited_tensor_is_seen_through_quantisation(weir: Weir, tmp_path: Path) -> None:
    base = llama_tensors()
    model = dict(base) | {Q_PROJ: base[Q_PROJ] * np.float32(1.05)}

    value = run(weir, write_folder(tmp_path / "a", base), write_gguf(tmp_path / "b.gguf", model, "Q8_0"))

    # A child of a relative that shares the other matrices would look the same: no direction.
    assert (value["relation"], value["grade"]) == ("related", "proved")
    assert by_name(value)["layers.1.q"]["class"] == "scaled"
    assert by_name(value)["layers.0.q"]["class"] == "quantised"
    partial = next(c for c in value["changes"] if c["class"] == "partial")
    assert partial["modules"] == ["q"] and partial["layers"] == [1]
    row = by_name(value)["layers.1.q"]
    assert row["rel_norm"] == pytest.approx(0.05, rel=0.05)
    assert row["rounding_floor"] < 0.01


def test_the_rounding_floor_of_bf16_is_what_rounding_does(weir: Weir, tmp_path: Path) -> None:
    base = cast(llama_tensors(), ml_dtypes.bfloat16)
    random = np.random.default_rng(3)
    exact = llama_tensors(5)[Q_PROJ]
    base[Q_PROJ] = exact.astype(ml_dtypes.bfloat16)
    noise = random.standard_normal(exact.shape).astype(np.float32) * 0.1
    model = dict(base) | {Q_PROJ: (exact + noise).astype(ml_dtypes.bfloat16)}
    rounding = base[Q_PROJ].astype(np.float64) - exact

    value = run(weir, write_folder(tmp_path / "a", base), write_folder(tmp_path / "b", model))

    measured = np.linalg.norm(rounding) / np.linalg.norm(exact.astype(np.float64))
    assert by_name(value)["layers.1.q"]["rounding_floor"] == pytest.approx(measured, rel=0.05)


@pytest.mark.parametrize("write", [write_folder, write_shards])
def test_a_copy_is_identical_however_it_is_sharded(weir: Weir, tmp_path: Path, write: Any) -> None:
    base = llama_tensors()

    value = run(weir, write_folder(tmp_path / "a", base), write(tmp_path / "b", base))

    assert value["relation"] == "identical" and value["grade"] == "proved"
    assert value["unexplained"] == 0


def test_a_gguf_of_the_same_numbers_is_repackaged(weir: Weir, tmp_path: Path) -> None:
    base = llama_tensors()

    value = run(weir, write_folder(tmp_path / "a", base), write_gguf(tmp_path / "b.gguf", base))

    assert value["relation"] == "identical"
    assert classes(value) == ["repackaged"]


def test_one_flipped_bit_is_not_identical(weir: Weir, tmp_path: Path) -> None:
    base = llama_tensors()
    model = {name: values.copy() for name, values in base.items()}
    model[Q_PROJ].view(np.uint32)[5, 5] ^= 1

    value = run(weir, write_folder(tmp_path / "a", base), write_folder(tmp_path / "b", model))

    assert value["relation"] == "related"
    assert by_name(value)["layers.1.q"]["class"] == "unknown"


def test_unrelated_weights_of_one_shape_are_not_linked(weir: Weir, tmp_path: Path) -> None:
    value = run(weir, write_folder(tmp_path / "a", llama_tensors(1)),
                write_folder(tmp_path / "b", llama_tensors(2)))

    assert value["relation"] == "no_link" and value["direction"] == "unknown"


def test_equal_norms_alone_prove_nothing(weir: Weir, tmp_path: Path) -> None:
    base, model = llama_tensors(1), llama_tensors(2)
    model = {name: values if values.ndim == 2 else base[name] for name, values in model.items()}

    value = run(weir, write_folder(tmp_path / "a", cast(base, np.float32)),
                write_folder(tmp_path / "b", cast(model, ml_dtypes.bfloat16)))

    assert value["relation"] == "no_link"


def test_added_removed_and_reshaped_tensors_are_listed(weir: Weir, tmp_path: Path) -> None:
    base = llama_tensors()
    model = dict(base)
    del model["model.layers.1.mlp.up_proj.weight"]
    model["extra.weight"] = np.ones((3, 4), np.float32)
    model["model.embed_tokens.weight"] = np.vstack([base["model.embed_tokens.weight"], np.ones((1, 64), np.float32)])
    model["model.layers.0.self_attn.o_proj.weight"] = np.ones((64, 32), np.float32)

    value = run(weir, write_folder(tmp_path / "a", base), write_folder(tmp_path / "b", model))

    states = {name: row["state"] for name, row in by_name(value).items()}
    assert states["layers.1.up"] == "removed"
    assert states["extra.weight"] == "added"
    assert states["embedding"] == "compared"  # the shared rows are
    assert states["layers.0.o"] == "reshaped"
    assert any("1 tensors added, 1 removed, 1 of another shape" == c.get("detail") for c in value["changes"])


def test_a_tied_head_is_compared_with_the_embedding(weir: Weir, tmp_path: Path) -> None:
    tied = llama_tensors()
    del tied["lm_head.weight"]
    untied = dict(tied) | {"lm_head.weight": tied["model.embed_tokens.weight"]}

    value = run(weir, write_folder(tmp_path / "a", tied, tie_word_embeddings=True),
                write_folder(tmp_path / "b", untied, tie_word_embeddings=False))

    assert {row["state"] for row in value["tensors"]} == {"compared"}
    assert {row["class"] for row in value["tensors"]} == {"identical"}


def test_settings_of_the_architecture_are_compared(weir: Weir, tmp_path: Path) -> None:
    base = llama_tensors()

    value = run(weir, write_folder(tmp_path / "a", base), write_folder(tmp_path / "b", base, rms_norm_eps=1e-6))

    assert classes(value) == ["config_changed"]
    assert [f["what"] for f in value["files"]] == ["config.rms_norm_eps"]


@pytest.mark.parametrize("level", ["base", "avx2", "avx512"])
def test_every_simd_level_and_thread_count_says_the_same_bytes(weir: Weir, tmp_path: Path, level: str) -> None:
    base = cast(llama_tensors(1), ml_dtypes.bfloat16)
    random = np.random.default_rng(11)
    model = {name: (values.astype(np.float32) + random.standard_normal(values.shape) * 0.001).astype(values.dtype)
             for name, values in base.items()}
    a, b = write_folder(tmp_path / "a", base), write_folder(tmp_path / "b", model)
    expected = weir("diff", a, b, "--json", "--jobs", "1", env={"WEIR_SIMD": "base"})

    result = weir("diff", a, b, "--json", "--jobs", "3", env={"WEIR_SIMD": level})

    if result.code == 5:
        pytest.skip(f"this machine lacks {level}")
    assert result.out == expected.out


def test_an_adapter_is_measured_against_its_base(weir: Weir, tmp_path: Path) -> None:
    base = llama_tensors()
    random = np.random.default_rng(2)
    a = random.standard_normal((4, 64)).astype(np.float32)
    b = random.standard_normal((64, 4)).astype(np.float32)
    folder = tmp_path / "adapter"
    folder.mkdir()
    prefix = "base_model.model.model.layers.1.self_attn.q_proj."
    save_file({prefix + "lora_A.weight": a, prefix + "lora_B.weight": b}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(
        '{"peft_type": "LORA", "r": 4, "lora_alpha": 8, "base_model_name_or_path": "x/y", "target_modules": ["q_proj"]}')

    value = run(weir, write_folder(tmp_path / "a", base), folder)

    w = base[Q_PROJ].astype(np.float64)
    expected = np.linalg.norm(2.0 * b.astype(np.float64) @ a) / np.linalg.norm(w)
    row = by_name(value)["layers.1.q"]
    assert row["rank"] == 4 and row["class"] == "low_rank"
    assert row["rel_norm"] == pytest.approx(expected, rel=1e-5)
    assert classes(value) == ["low_rank"]


def test_digests_are_sha256(weir: Weir, tmp_path: Path) -> None:
    import hashlib

    base = llama_tensors()
    a, b = write_folder(tmp_path / "a", base), write_shards(tmp_path / "b", cast(base, np.float16))

    value = weir("assess", b, "--base", a, "--digest", "--json").json()

    listed = {file["path"]: file["sha256"] for file in value["inspect"]["files"]}
    for path, digest in listed.items():
        assert digest == hashlib.sha256((b / path).read_bytes()).hexdigest()
    lines = b"".join(path.encode() + b"\0" + digest.encode() + b"\n" for path, digest in sorted(listed.items()))
    assert value["inspect"]["model"]["id"] == hashlib.sha256(lines).hexdigest()
    alone = weir("inspect", b, "--digest", "--json").json()
    assert alone["model"] == value["inspect"]["model"]


def test_payload_id_survives_resharding(weir: Weir, tmp_path: Path) -> None:
    base = llama_tensors()
    a, b = write_folder(tmp_path / "a", base), write_shards(tmp_path / "b", base)

    ids = [weir("inspect", path, "--digest", "--json").json()["model"] for path in (a, b)]

    assert ids[0]["payload_id"] == ids[1]["payload_id"] and ids[0]["id"] != ids[1]["id"]


def test_equal_masks_prove_nothing(weir: Weir, tmp_path: Path) -> None:
    mask = np.tril(np.ones((128, 128), np.float32))
    base, model = llama_tensors(1), llama_tensors(2)
    base[Q_PROJ.replace("q_proj", "bias")] = mask
    model[Q_PROJ.replace("q_proj", "bias")] = mask

    value = run(weir, write_folder(tmp_path / "a", base), write_folder(tmp_path / "b", model))

    assert value["relation"] == "no_link"


def test_a_constant_matrix_proves_nothing(weir: Weir, tmp_path: Path) -> None:
    base, model = llama_tensors(1), llama_tensors(2)
    base[Q_PROJ] = np.full_like(base[Q_PROJ], 0.3)
    model[Q_PROJ] = base[Q_PROJ].astype(np.float32)

    value = run(weir, write_folder(tmp_path / "a", base), write_folder(tmp_path / "b", cast(model, ml_dtypes.bfloat16)))

    assert value["relation"] == "no_link"
