# SPDX-License-Identifier: Apache-2.0
"""What diff says of the files beside the weights."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from conftest import Weir, check_schema
from models import GgufTokenizer, llama_tensors, write_folder, write_gguf
from safetensors.numpy import save_file

TEMPLATE = "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{% endfor %}"


def tokenizer(tokens: list[str], merges: list[str] | None = None) -> str:
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return json.dumps({"version": "1.0", "model": {"type": "BPE", "vocab": vocabulary, "merges": merges or []}})


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    tensors = llama_tensors()
    folders = write_folder(tmp_path / "base", tensors), write_folder(tmp_path / "model", tensors)
    for folder in folders:
        (folder / "chat_template.jinja").write_text(TEMPLATE)
        (folder / "tokenizer.json").write_text(tokenizer(["a", "b", "c", "ab"], ["a b"]))
        (folder / "generation_config.json").write_text(json.dumps({"temperature": 0.7, "top_p": 0.9}))
    return folders


def run(weir: Weir, pair: tuple[Path, Path]) -> dict[str, Any]:
    value = weir("diff", *pair, "--json").json()
    check_schema(value)
    return value


def changed(value: dict[str, Any]) -> dict[str, str]:
    return {file["what"]: file["class"] for file in value["files"]}


def test_equal_files_are_no_change(weir: Weir, pair: tuple[Path, Path]) -> None:
    value = run(weir, pair)

    assert value["relation"] == "identical" and value["files"] == []
    assert [change["class"] for change in value["changes"]] == ["identical"]


def test_a_template_with_injected_text_is_a_change(weir: Weir, pair: tuple[Path, Path]) -> None:
    (pair[1] / "chat_template.jinja").write_text("WEIR-TEST" + TEMPLATE)

    value = run(weir, pair)

    assert changed(value) == {"chat template default": "template_changed"}
    assert value["files"][0]["model"].startswith("WEIR-TEST")
    assert value["relation"] == "identical"
    assert weir("diff", *pair, "--exit-code").code == 1


def test_tokens_are_compared_by_string(weir: Weir, pair: tuple[Path, Path]) -> None:
    (pair[1] / "tokenizer.json").write_text(tokenizer(["a", "c", "b", "ab", "new"], ["a b"]))

    value = run(weir, pair)

    assert changed(value) == {"token strings: 1 added, 0 removed, 2 moved": "tokenizer_changed"}


def test_other_merges_are_a_change(weir: Weir, pair: tuple[Path, Path]) -> None:
    (pair[1] / "tokenizer.json").write_text(tokenizer(["a", "b", "c", "ab"], ["a c"]))

    assert changed(run(weir, pair)) == {"BPE merges": "tokenizer_changed"}


def test_generation_settings_are_compared(weir: Weir, pair: tuple[Path, Path]) -> None:
    (pair[1] / "generation_config.json").write_text(json.dumps({"temperature": 1.5, "top_k": 3, "top_p": 0.9}))

    value = run(weir, pair)

    assert changed(value) == {"generation_config.temperature": "config_changed", "generation_config.top_k": "config_changed"}
    assert {f["what"]: (f["base"], f["model"]) for f in value["files"]}["generation_config.temperature"] == ("0.7", "1.5")


def test_custom_code_is_a_change(weir: Weir, pair: tuple[Path, Path]) -> None:
    (pair[1] / "modeling_x.py").write_text("import os\n")

    assert changed(run(weir, pair)) == {"modeling_x.py": "code_changed"}


def test_bookkeeping_is_no_change(weir: Weir, pair: tuple[Path, Path]) -> None:
    config = json.loads((pair[1] / "config.json").read_text())
    (pair[1] / "config.json").write_text(json.dumps(config | {"transformers_version": "9.9", "_name_or_path": "x/y"}))

    assert run(weir, pair)["files"] == []


def test_a_card_without_its_base_is_only_a_claim(weir: Weir, pair: tuple[Path, Path]) -> None:
    (pair[1] / "README.md").write_text("---\nbase_model: someone/else\nlicense: mit\n---\n# hello\n")

    value = weir("assess", pair[1], "--base", pair[0], "--json").json()

    facts = {fact["fact"]: fact for fact in value["facts"]}
    assert (facts["claim.base_model"]["value"], facts["claim.base_model"]["grade"]) == ("someone/else", "claimed")
    assert facts["weights.relation"]["value"] == "identical" and facts["weights.relation"]["grade"] == "proved"
    assert facts["safety.refusal_change"]["grade"] == "unknown" and facts["safety.refusal_change"]["value"] is None
    assert value["tier"] == {"low": 0, "high": 0}


def test_the_settings_of_a_folder_and_a_gguf_are_compared(weir: Weir, tmp_path: Path) -> None:
    tensors = llama_tensors()
    folder = write_folder(tmp_path / "base", tensors, num_attention_heads=8)

    value = run(weir, (folder, write_gguf(tmp_path / "model.gguf", tensors)))

    assert "attention heads" in changed(value)


def rows(value: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [file for file in value["files"] if file["kind"] == kind]


def only(value: dict[str, Any], kind: str) -> dict[str, Any]:
    found = rows(value, kind)
    assert len(found) == 1, value["files"]
    return found[0]


# ---- the places of chat templates


def test_two_places_that_disagree_are_said_with_their_readers(weir: Weir, pair: tuple[Path, Path]) -> None:
    for folder in pair:
        (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE + "\n"}))
    (pair[1] / "chat_template.jinja").write_text(TEMPLATE + "WEIR-TEST")

    row = only(run(weir, pair), "chat_template_places")

    assert row["class"] == "template_changed" and row["file"] == "chat_template.jinja"
    assert "chat_template.jinja and tokenizer_config.json hold different default chat templates" in row["what"]
    assert "transformers' tokenizer uses chat_template.jinja" in row["what"]
    assert "the GGUF converter takes tokenizer_config.json" in row["what"]


def test_the_newline_that_jinja_drops_is_no_disagreement(weir: Weir, pair: tuple[Path, Path]) -> None:
    (pair[1] / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE + "\n"}))

    assert rows(run(weir, pair), "chat_template_places") == []


def test_a_disagreement_of_the_base_is_no_difference(weir: Weir, pair: tuple[Path, Path]) -> None:
    for folder in pair:
        (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "other"}))

    assert run(weir, pair)["files"] == []


def test_a_gguf_beside_the_folder_is_a_place(weir: Weir, pair: tuple[Path, Path]) -> None:
    write_gguf(pair[1] / "model.gguf", llama_tensors(), template="{{ messages }}WEIR-TEST")

    row = only(run(weir, pair), "chat_template_places")

    assert "llama.cpp uses model.gguf" in row["what"]


def test_a_processor_reads_its_own_file_first(weir: Weir, pair: tuple[Path, Path]) -> None:
    (pair[1] / "chat_template.json").write_text(json.dumps({"chat_template": "WEIR-TEST"}))

    row = only(run(weir, pair), "chat_template_places")

    assert "transformers' tokenizer uses chat_template.jinja, its processor uses chat_template.json" in row["what"]


def test_the_converter_to_gguf_takes_the_place_that_is_named(weir: Weir, pair: tuple[Path, Path]) -> None:
    (pair[1] / "tokenizer_config.json").write_text(json.dumps({"chat_template": "WEIR-TEST"}))

    taken = gguf.SpecialVocab(pair[1], load_merges=False).chat_template

    row = only(run(weir, pair), "chat_template_places")
    assert taken == "WEIR-TEST" and "the GGUF converter takes tokenizer_config.json" in row["what"]


# ---- the tokenizer


def added(content: str, number: int, special: bool) -> dict[str, Any]:
    return {"id": number, "content": content, "special": special, "single_word": False, "lstrip": False,
            "rstrip": False, "normalized": False}


def write_tokenizer(folder: Path, **members: object) -> None:
    value = json.loads(tokenizer(["a", "b", "c", "ab", "<s>"], ["a b"]))
    (folder / "tokenizer.json").write_text(json.dumps(value | members))


def test_swapped_tokens_are_named_with_their_ids(weir: Weir, pair: tuple[Path, Path]) -> None:
    (pair[1] / "tokenizer.json").write_text(tokenizer(["a", "c", "b"], ["a b"]))

    row = only(run(weir, pair), "tokens")

    assert row["what"] == "token strings: 0 added, 1 removed, 2 moved"
    assert "swapped b and c (1, 2)" in row["model"] or "swapped c and b (2, 1)" in row["model"]
    assert "removed ab (3)" in row["model"]


def test_a_token_that_lost_its_special_flag_is_named(weir: Weir, pair: tuple[Path, Path]) -> None:
    write_tokenizer(pair[0], added_tokens=[added("<s>", 4, True), added("c", 2, False)])
    write_tokenizer(pair[1], added_tokens=[added("<s>", 4, False), added("c", 2, True)])

    row = only(run(weir, pair), "special_tokens")

    assert row["class"] == "tokenizer_changed"
    assert row["what"] == "special flags: 1 became special, 1 no longer are"
    assert row["model"] == "became special c (2); no longer special <s> (4)"


def test_another_end_token_is_named_with_its_id(weir: Weir, pair: tuple[Path, Path]) -> None:
    (pair[0] / "tokenizer_config.json").write_text(json.dumps({"eos_token": "c", "add_bos_token": True}))
    (pair[1] / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "ab"}, "add_bos_token": False}))

    value = run(weir, pair)

    assert (only(value, "special_tokens")["base"], only(value, "special_tokens")["model"]) == ("c (2)", "ab (3)")
    assert only(value, "tokenizer_setting")["what"] == "tokenizer_config.add_bos_token"


STEPS = {"normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
         "post_processor": {"type": "ByteLevel", "trim_offsets": True}, "decoder": {"type": "ByteLevel"}}


@pytest.mark.parametrize("step", sorted(STEPS))
def test_a_changed_step_is_named_by_its_hash(weir: Weir, pair: tuple[Path, Path], step: str) -> None:
    other = {"type": "Replace", "pattern": {"String": "ä\u0001\""}, "content": "x"}
    write_tokenizer(pair[0], **STEPS)
    write_tokenizer(pair[1], **(STEPS | {step: other}))

    row = only(run(weir, pair), step)

    canonical = json.dumps(other, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert row["model"] == "Replace, sha256 " + hashlib.sha256(canonical.encode()).hexdigest()[:32]


def test_the_order_of_keys_is_no_difference(weir: Weir, pair: tuple[Path, Path]) -> None:
    write_tokenizer(pair[0], **STEPS)
    turned = {name: dict(reversed(step.items())) for name, step in reversed(STEPS.items())}
    (pair[1] / "tokenizer.json").write_text(json.dumps(turned | json.loads((pair[0] / "tokenizer.json").read_text()) | turned, indent=2))

    assert run(weir, pair)["files"] == []


def test_flags_that_the_config_restates_are_counted(weir: Weir, pair: tuple[Path, Path]) -> None:
    for folder, special in zip(pair, (True, False), strict=True):
        listed = {str(i): {"content": f"<{i}>", "special": special and i < 2} for i in range(3)}
        (folder / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": listed}))

    row = only(run(weir, pair), "special_tokens")

    assert row["what"] == "added_tokens_decoder: 2 settings of tokens, first 0.special"
    assert (row["base"], row["model"]) == ("true", "false")


def test_padding_of_a_converted_vocabulary_is_no_change(weir: Weir, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "base", llama_tensors())
    (folder / "tokenizer.json").write_text(tokenizer(["a", "b", "c", "ab"], ["a b"]))
    tokens = ["a", "b", "c", "ab", "[PAD4]", "[PAD5]"]

    value = run(weir, (folder, write_gguf(tmp_path / "m.gguf", llama_tensors(), tokenizer=GgufTokenizer(tokens, ["a b"]))))

    assert rows(value, "tokens") == [] and rows(value, "merges") == []


def test_a_gguf_with_other_strings_and_flags_is_changed(weir: Weir, tmp_path: Path) -> None:
    tensors = llama_tensors()
    base = write_gguf(tmp_path / "a.gguf", tensors, tokenizer=GgufTokenizer(["a", "b", "c"], types=[1, 1, 3], eos=2))
    model = write_gguf(tmp_path / "b.gguf", tensors, tokenizer=GgufTokenizer(["a", "b", "c"], types=[1, 3, 1], eos=1))

    found = rows(run(weir, (base, model)), "special_tokens")

    assert [(row["what"], row["base"], row["model"]) for row in found] == [
        ("eos token", "c (2)", "b (1)"),
        ("special flags: 1 became special, 1 no longer are", "", "became special b (1); no longer special c (2)")]


# ---- settings, system prompts, code


def test_a_long_system_prompt_that_differs_at_its_end_is_a_change(weir: Weir, pair: tuple[Path, Path]) -> None:
    for folder, end in zip(pair, ("one", "two"), strict=True):
        (folder / "generation_config.json").write_text(json.dumps({"system_prompt": "x" * 9000 + end}))

    row = only(run(weir, pair), "system_prompt")

    assert row["what"] == "generation_config.system_prompt" and row["base"] != row["model"]


def test_a_modelfile_is_read_as_text(weir: Weir, pair: tuple[Path, Path]) -> None:
    (pair[0] / "Modelfile").write_text('FROM x\nPARAMETER stop "<a>"\nparameter stop "<b>"\nSYSTEM """be\nbrief"""\n')
    (pair[1] / "Modelfile").write_text('# note\nFROM x\nPARAMETER stop "<a>"\nPARAMETER stop "<c>"\nSYSTEM WEIR-TEST\n')

    value = run(weir, pair)

    assert [(f["kind"], f["what"], f["base"], f["model"]) for f in value["files"]] == [
        ("system_prompt", "modelfile.system", "be\\x0Abrief", "WEIR-TEST"),
        ("generation", "modelfile.parameter.stop.2", "<b>", "<c>")]


def test_code_of_the_same_size_is_told_by_its_hash(weir: Weir, pair: tuple[Path, Path]) -> None:
    for folder, text in zip(pair, ("a = 1\n", "a = 2\n"), strict=True):
        (folder / "modeling_x.py").write_text(text)
        (folder / "same.py").write_text("pass\n")
    (pair[0] / "gone.py").write_text("pass\n")

    found = {row["what"]: row for row in rows(run(weir, pair), "code_file")}

    assert sorted(found) == ["gone.py", "modeling_x.py"]
    assert found["modeling_x.py"]["model"] == "sha256 " + hashlib.sha256(b"a = 2\n").hexdigest()
    assert found["gone.py"]["model"] == "" and found["gone.py"]["class"] == "code_changed"


def test_code_that_a_config_begins_to_name_is_a_change(weir: Weir, pair: tuple[Path, Path]) -> None:
    config = json.loads((pair[1] / "config.json").read_text())
    (pair[1] / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "modeling_x.M"}}))
    (pair[1] / "tokenizer_config.json").write_text(json.dumps({"auto_map": {"AutoTokenizer": ["t.T", None]}}))

    found = rows(run(weir, pair), "auto_map")

    assert [(row["what"], row["model"], row["class"]) for row in found] == [
        ("config.auto_map.AutoModel", "modeling_x.M", "code_changed"),
        ("tokenizer_config.auto_map.AutoTokenizer", "t.T, null", "code_changed")]


# ---- safety checkers and watermarks


def test_a_dropped_watermark_of_generated_text_is_said(weir: Weir, pair: tuple[Path, Path]) -> None:
    plain = {"temperature": 0.7, "top_p": 0.9}
    mark = {"bias": 2.0, "greenlist_ratio": 0.25, "hashing_key": 15485863}
    (pair[0] / "generation_config.json").write_text(json.dumps(plain | {"watermarking_config": mark}))
    said = {"what": "the watermark of generated text, watermarking_config, is removed", "class": "config_changed",
            "grade": "proved", "base": "present", "model": "", "file": "generation_config.json"}
    for instead in (plain, plain | {"watermarking_config": None}):
        (pair[1] / "generation_config.json").write_text(json.dumps(instead))

        assert only(run(weir, pair), "watermark_component").items() >= said.items()

    (pair[1] / "generation_config.json").unlink()
    assert only(run(weir, pair), "watermark_component").items() >= said.items()


def test_a_weaker_watermark_is_a_change_of_its_setting(weir: Weir, pair: tuple[Path, Path]) -> None:
    for folder, bias in zip(pair, (2.0, 0.0), strict=True):
        (folder / "generation_config.json").write_text(json.dumps({"watermarking_config": {"bias": bias}}))

    row = only(run(weir, pair), "watermark_component")

    assert (row["what"], row["base"], row["model"]) == ("generation_config.watermarking_config.bias", "2.0", "0.0")


def test_labels_of_a_classifier_are_no_safety_parts(weir: Weir, pair: tuple[Path, Path]) -> None:
    config = json.loads((pair[0] / "config.json").read_text())
    (pair[0] / "config.json").write_text(json.dumps(config | {"label2id": {"nsfw": 1, "plain": 0}}))

    assert {row["kind"] for row in run(weir, pair)["files"]} == {"config"}


PIPELINE = {
    "_class_name": "StableDiffusionPipeline",
    "requires_safety_checker": True,
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "feature_extractor": ["transformers", "CLIPImageProcessor"],
    "unet": ["diffusers", "UNet2DConditionModel"],
}


def write_pipeline(folder: Path, **index: object) -> Path:
    random = np.random.default_rng(1)
    folder.mkdir()
    (folder / "model_index.json").write_text(json.dumps(PIPELINE | index))
    for part, file in (("unet", "diffusion_pytorch_model.safetensors"), ("safety_checker", "model.safetensors")):
        (folder / part).mkdir()
        tensors = {f"{part[0]}.weight": random.standard_normal((8, 16)).astype(np.float32),
                   f"{part[0]}.bias": np.zeros(8, np.float32)}
        save_file(tensors, folder / part / file)
    (folder / "feature_extractor").mkdir()
    (folder / "feature_extractor" / "preprocessor_config.json").write_text("{}")
    return folder


@pytest.fixture
def pipelines(tmp_path: Path) -> tuple[Path, Path]:
    return write_pipeline(tmp_path / "base"), write_pipeline(tmp_path / "model")


def test_equal_pipelines_are_identical(weir: Weir, pipelines: tuple[Path, Path]) -> None:
    value = run(weir, pipelines)

    assert value["relation"] == "identical" and value["files"] == []
    assert sorted(tensor["name"] for tensor in value["tensors"]) == [
        "safety_checker.s.bias", "safety_checker.s.weight", "unet.u.bias", "unet.u.weight"]


def test_a_removed_safety_checker_is_said_plainly(weir: Weir, pipelines: tuple[Path, Path]) -> None:
    (pipelines[1] / "model_index.json").write_text(json.dumps(PIPELINE | {
        "safety_checker": [None, None], "feature_extractor": [None, None], "requires_safety_checker": False}))
    shutil.rmtree(pipelines[1] / "safety_checker")

    value = run(weir, pipelines)

    found = {row["what"]: row for row in rows(value, "safety_component")}
    assert list(found) == [
        "the feature extractor, which feeds the safety checker, is removed",
        "model_index.requires_safety_checker is turned off",
        "the safety checker is removed",
        "safety_checker is removed: 2 of its 2 tensors are gone"]
    assert found["the safety checker is removed"]["grade"] == "proved"
    assert found["the safety checker is removed"]["file"] == "model_index.json"
    assert "the safety checker is removed" in weir("diff", *pipelines).out


def test_a_missing_folder_of_a_named_checker_is_said(weir: Weir, pipelines: tuple[Path, Path]) -> None:
    shutil.rmtree(pipelines[1] / "safety_checker")

    what = [row["what"] for row in rows(run(weir, pipelines), "safety_component")]

    assert "model_index.json names safety_checker, and its folder is missing" in what


def test_a_nulled_safety_checker_is_said(weir: Weir, pipelines: tuple[Path, Path]) -> None:
    for value in (0.0, 0.25, np.nan):
        save_file({"s.weight": np.full((8, 16), value, np.float32), "s.bias": np.zeros(8, np.float32)},
                  pipelines[1] / "safety_checker" / "model.safetensors")

        row = only(run(weir, pipelines), "safety_component")

        assert row["what"] == "safety_checker is nulled: 1 of its 1 tensors hold one value throughout"
        assert row["grade"] == "strong" and row["class"] == "config_changed"


def test_a_retrained_safety_checker_is_not_called_nulled(weir: Weir, pipelines: tuple[Path, Path]) -> None:
    save_file({"s.weight": np.ones((8, 16), np.float32) * np.arange(16, dtype=np.float32), "s.bias": np.ones(8, np.float32)},
              pipelines[1] / "safety_checker" / "model.safetensors")

    assert run(weir, pipelines)["files"] == []


def test_what_the_base_never_had_is_no_finding(weir: Weir, pipelines: tuple[Path, Path]) -> None:
    bare = {"safety_checker": [None, None], "requires_safety_checker": False}
    for folder in pipelines:
        (folder / "model_index.json").write_text(json.dumps(PIPELINE | bare))
        shutil.rmtree(folder / "safety_checker")
    (pipelines[1] / "model_index.json").write_text(json.dumps(PIPELINE | bare | {"feature_extractor": [None, None]}))

    assert rows(run(weir, pipelines), "safety_component") == []


def test_null_and_absent_are_the_same_nothing(weir: Weir, pipelines: tuple[Path, Path]) -> None:
    bare = {name: value for name, value in PIPELINE.items() if "safety" not in name}
    for folder, index in zip(pipelines, (bare, bare | {"safety_checker": [None, None]}), strict=True):
        (folder / "model_index.json").write_text(json.dumps(index))
        shutil.rmtree(folder / "safety_checker")

    assert run(weir, pipelines)["files"] == []


def test_a_watermark_module_that_is_gone_is_said(weir: Weir, tmp_path: Path) -> None:
    tensors = llama_tensors()
    head = {"watermark_head.weight": np.random.default_rng(2).standard_normal((4, 64)).astype(np.float32)}

    value = run(weir, (write_folder(tmp_path / "base", tensors | head), write_folder(tmp_path / "model", tensors)))

    row = only(value, "watermark_component")
    assert row["what"] == "watermark_head is removed: 1 of its 1 tensors are gone" and row["file"] == "model.safetensors"


# ---- hostile files


def test_of_a_key_that_stands_twice_the_last_one_counts(weir: Weir, pair: tuple[Path, Path]) -> None:
    (pair[1] / "generation_config.json").write_text('{"temperature": 0.7, "top_p": 0.9, "temperature": 1.5}')

    assert only(run(weir, pair), "generation")["model"] == "1.5"


def test_a_huge_template_hides_no_other_setting(weir: Weir, pair: tuple[Path, Path]) -> None:
    (pair[0] / "tokenizer_config.json").write_text(json.dumps({"add_bos_token": True}))
    (pair[1] / "tokenizer_config.json").write_text(json.dumps({"chat_template": "x" * (2 << 20), "add_bos_token": False}))

    value = run(weir, pair)

    assert only(value, "tokenizer_setting")["what"] == "tokenizer_config.add_bos_token"
    assert [gap["id"] for gap in value["findings"]] == ["template-limit"]

@pytest.mark.parametrize("text", ['{"safety_checker": [', "[" * 500, '{"a": ' * 400, "\x00\x01", '{"safety_checker": nul}'])
def test_a_malformed_index_accuses_of_nothing(weir: Weir, pipelines: tuple[Path, Path], text: str) -> None:
    (pipelines[1] / "model.safetensors").write_bytes((pipelines[1] / "unet" / "diffusion_pytorch_model.safetensors").read_bytes())
    (pipelines[0] / "model.safetensors").write_bytes((pipelines[0] / "unet" / "diffusion_pytorch_model.safetensors").read_bytes())
    (pipelines[1] / "model_index.json").write_text(text)

    value = run(weir, pipelines)

    assert value["files"] == [] and value["relation"] == "identical"
    assert {(gap["side"], gap["file"]) for gap in value["findings"]} == {("model", "model_index.json")}
    assert value["findings"][0]["at"].startswith("byte ")
    done = weir("diff", *pipelines)
    is_malformed = value["findings"][0]["id"] == "pipeline-malformed"  # else it is over a limit
    assert done.code == (3 if is_malformed else 0) and "model_index.json of the model, byte " in done.out


def test_huge_code_is_compared_by_size(weir: Weir, pair: tuple[Path, Path]) -> None:
    for folder, size in zip(pair, (1 << 40, (1 << 40) + 1), strict=True):
        with (folder / "big.py").open("wb") as file:
            file.truncate(size)

    row = only(run(weir, pair), "code_file")

    assert (row["base"], row["model"]) == ("1099511627776 bytes, not read", "1099511627777 bytes, not read")


def test_many_settings_are_compared_in_one_walk(weir: Weir, pair: tuple[Path, Path]) -> None:
    for folder, value in zip(pair, (1, 2), strict=True):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {f"key_{i}": value for i in range(60000)}))

    assert len(run(weir, pair)["files"]) == 60000
