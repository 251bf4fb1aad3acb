# SPDX-License-Identifier: Apache-2.0
"""The bundle of a verdict, its replay by weir, and its replay without weir."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Weir, check_schema
from models import FEED_FORWARD, HIDDEN, VOCABULARY, Tensors, llama_tensors, write_folder, write_gguf

REPLAY = ROOT / "tools" / "replay_bundle.py"


@pytest.fixture
def known(weir: Weir, tmp_path: Path) -> Path:
    file = tmp_path / "known" / "registry.db"
    roots = [write_folder(tmp_path / "roots" / f"root-{i}", llama_tensors(i)) for i in range(3)]
    assert weir("registry", "add", "--registry", file, *roots).code == 0
    return file


def noisy(tensors: Tensors, share: float) -> Tensors:
    random = np.random.default_rng(99)
    return {key: (value + share * value.std() * random.standard_normal(value.shape)).astype(np.float32)
            for key, value in tensors.items()}


def make_bundle(weir: Weir, known: Path, model: Path, *words: object) -> Path:
    bundle = known.parent / f"{model.name}.bundle"
    done = weir("trace", "--registry", known, "-o", f"bundle={bundle}", *words, model)
    assert (done.code, done.out, done.err) == (0, "", "")
    return bundle


def replay(weir: Weir, bundle: Path, model: Path) -> Any:
    done = weir("trace", "--replay", bundle, model, "--json")
    answer = done.json()
    check_schema(answer)
    assert done.code == {"reproduced": 0, "differs": 1, "undecided": 4}[answer["answer"]]
    return answer


def rewrite(bundle: Path, **members: Any) -> Path:
    content = json.loads(bundle.read_text()) | members
    changed = bundle.with_suffix(".changed")
    changed.write_text(json.dumps(content))
    return changed


@pytest.fixture
def child(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "child", noisy(llama_tensors(2), 0.1))


# --- the bundle ---


def test_a_bundle_holds_what_the_verdict_rests_on_and_no_path(
        weir: Weir, known: Path, child: Path, tmp_path: Path) -> None:
    bundle = json.loads(make_bundle(weir, known, child).read_text())

    check_schema(bundle)
    traced = weir("trace", "--registry", known, "--json", child).json()
    assert (bundle["verdict"], bundle["entries"]) == ("related", traced["searched"]["entries"])
    assert bundle["command"] == "weir trace --registry REGISTRY -o bundle=BUNDLE MODEL"
    assert [candidate["name"] for candidate in bundle["candidates"]] == ["root-2"]
    assert str(tmp_path) not in json.dumps(bundle)
    exported = tmp_path / "root-2.weirfp"
    assert weir("registry", "export", "--registry", known, "root-2", exported).code == 0
    assert bundle["candidates"][0]["fingerprint"] == exported.read_bytes().hex()
    assert bundle["test"]["log10_p_linked"] == -6


def test_ranges_are_those_that_were_read_with_their_hashes(weir: Weir, known: Path, child: Path) -> None:
    bundle = json.loads(make_bundle(weir, known, child).read_text())

    data = (child / "model.safetensors").read_bytes()
    header = int.from_bytes(data[:8], "little")
    assert sum(item["bytes"] for item in bundle["ranges"]) >= len(data) - 8 - header
    for item in bundle["ranges"]:
        part = data[item["offset"]:item["offset"] + item["bytes"]]
        assert len(part) == item["bytes"]
        assert hashlib.sha256(part).hexdigest() == item["sha256"]


def test_a_bundle_is_the_same_for_any_number_of_threads(weir: Weir, known: Path, child: Path) -> None:
    one = make_bundle(weir, known, child, "--jobs", 1).read_bytes()
    assert make_bundle(weir, known, child, "--jobs", 4).read_bytes() == one


def test_an_adapter_has_no_bundle(weir: Weir, known: Path, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    adapter = {"base_model.model.model.layers.0.mlp.up_proj.lora_A.weight": np.ones((4, HIDDEN), np.float32),
               "base_model.model.model.layers.0.mlp.up_proj.lora_B.weight": np.ones((FEED_FORWARD, 4), np.float32)}
    write_folder(folder, adapter)
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    (folder / "config.json").unlink()
    (folder / "adapter_config.json").write_text(json.dumps(
        {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "base_model_name_or_path": "root-1"}))

    done = weir("trace", "--registry", known, "-o", f"bundle={tmp_path / 'b'}", folder)

    assert done.code == 3
    assert not (tmp_path / "b").exists()


# --- the replay ---


@pytest.mark.parametrize("make", ["copy", "noise", "rounded", "fingerprint"])
def test_the_verdict_follows_from_the_model_alone(weir: Weir, known: Path, tmp_path: Path, make: str) -> None:
    if make == "rounded":
        model = write_gguf(tmp_path / "m.gguf", llama_tensors(1), "Q8_0")
    elif make == "fingerprint":
        write_folder(tmp_path / "named", noisy(llama_tensors(1), 0.1))
        assert weir("registry", "add", "--registry", tmp_path / "other.db", tmp_path / "named").code == 0
        model = tmp_path / "m.weirfp"
        assert weir("registry", "export", "--registry", tmp_path / "other.db", "named", model).code == 0
    else:
        model = write_folder(tmp_path / "m", noisy(llama_tensors(1), 0 if make == "copy" else 0.1))
    bundle = make_bundle(weir, known, model)
    known.unlink()

    answer = replay(weir, bundle, model)
    table = weir("trace", "--replay", bundle, model)

    verdict = {"copy": "identical", "noise": "related", "rounded": "derived", "fingerprint": "related"}[make]
    assert (answer["answer"], answer["stated_verdict"]) == ("reproduced", verdict)
    assert table.code == 0
    assert table.out.startswith(f"The bundle's verdict is reproduced: {verdict} (")


def test_a_file_of_another_name_is_the_same_model(weir: Weir, known: Path, tmp_path: Path) -> None:
    model = write_gguf(tmp_path / "m.gguf", llama_tensors(1), "Q8_0")
    bundle = make_bundle(weir, known, model)
    renamed = model.rename(tmp_path / "other.gguf")
    assert replay(weir, bundle, renamed)["answer"] == "reproduced"


def test_another_model_does_not_reproduce_it(weir: Weir, known: Path, child: Path, tmp_path: Path) -> None:
    bundle = make_bundle(weir, known, child)
    stranger = write_folder(tmp_path / "stranger", llama_tensors(50))

    answer = replay(weir, bundle, stranger)
    table = weir("trace", "--replay", bundle, stranger)

    assert answer["answer"] == "differs"
    assert not answer["same_fingerprint"] and answer["ranges"]["differ"] > 0
    assert table.code == 1
    assert table.out.startswith("The bundle's verdict is not reproduced")


def test_one_changed_byte_in_a_range_is_found(weir: Weir, known: Path, child: Path) -> None:
    bundle = make_bundle(weir, known, child)
    file = child / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)

    answer = replay(weir, bundle, child)

    assert (answer["answer"], answer["ranges"]["differ"]) == ("differs", 1)
    assert answer["ranges"]["first"]["file"] == "model.safetensors"
    assert not answer["same_payload"]


@pytest.mark.parametrize("member, value", [("log10_p", -300.0), ("verdict", "derived"), ("direction", "from"),
                                           ("layers", [])])
def test_a_claim_that_does_not_follow_is_found(
        weir: Weir, known: Path, child: Path, member: str, value: object) -> None:
    bundle = make_bundle(weir, known, child)
    content = json.loads(bundle.read_text())
    content["candidates"][0][member] = value
    verdict = "derived" if member == "verdict" else content["verdict"]

    changed = rewrite(bundle, candidates=content["candidates"], verdict=verdict)

    assert replay(weir, changed, child)["answer"] == "differs"


def test_a_stranger_named_as_an_ancestor_is_found(weir: Weir, known: Path, child: Path, tmp_path: Path) -> None:
    bundle = make_bundle(weir, known, child)
    content = json.loads(bundle.read_text())
    stranger = write_folder(tmp_path / "stranger", llama_tensors(50))
    other = json.loads(make_bundle(weir, known, stranger).read_text())
    content["candidates"][0]["fingerprint"] = other["model"]["fingerprint"]

    answer = replay(weir, rewrite(bundle, candidates=content["candidates"]), child)

    assert (answer["answer"], answer["candidates"][0]["verdict"]) == ("differs", "no_link")


def test_fewer_entries_than_searched_give_another_p(weir: Weir, known: Path, child: Path) -> None:
    bundle = make_bundle(weir, known, child)
    assert replay(weir, rewrite(bundle, entries=1), child)["answer"] == "differs"


def test_a_search_that_found_nothing_cannot_be_replayed(weir: Weir, known: Path, tmp_path: Path) -> None:
    model = write_folder(tmp_path / "stranger", llama_tensors(50))
    bundle = make_bundle(weir, known, model)

    answer = replay(weir, bundle, model)

    assert (answer["stated_verdict"], answer["answer"]) == ("no_link", "undecided")
    assert "cannot be replayed" in weir("trace", "--replay", bundle, model).out.splitlines()[0]


@pytest.mark.parametrize("changes", [
    {"schema": "weir.bundle/2"},
    {"model": None},
    {"entries": -1},
    {"candidates": {}},
    {"ranges": [{"file": "model.safetensors", "offset": 8, "bytes": 8, "sha256": "0" * 64}] * 2},
    {"ranges": [{"file": "model.safetensors", "offset": 8, "bytes": 1 << 63, "sha256": "0" * 64}]},
])
def test_a_malformed_bundle_is_refused(weir: Weir, known: Path, child: Path, changes: dict[str, Any]) -> None:
    changed = rewrite(make_bundle(weir, known, child), **changes)
    done = weir("trace", "--replay", changed, child)
    assert (done.code, done.out) == (3, "")
    assert "expected" in done.err


def test_ranges_past_the_end_and_of_other_files_differ(weir: Weir, known: Path, child: Path) -> None:
    bundle = make_bundle(weir, known, child)
    for file, offset in (("model.safetensors", 1 << 40), ("../../etc/passwd", 0), ("/etc/passwd", 0)):
        ranges = [{"file": "model.safetensors", "offset": 8, "bytes": 0, "sha256": hashlib.sha256().hexdigest()},
                  {"file": file, "offset": offset, "bytes": 8, "sha256": "0" * 64}]
        answer = replay(weir, rewrite(bundle, ranges=ranges), child)
        assert (answer["answer"], answer["ranges"]["differ"]) == ("differs", 1)


def test_replay_goes_with_no_search(weir: Weir, tmp_path: Path) -> None:
    for words in (["--base", "b"], ["--registry", "r"], ["--jsonl"], ["-o", "bundle=x"], ["--resume", "f"], ["m"]):
        done = weir("trace", "--replay", "b", "m", *words, cwd=tmp_path)
        assert (done.code, done.out) == (2, "")
    assert os.listdir(tmp_path) == []


# --- without weir ---


def without_weir(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-I", REPLAY, *map(str, words)], capture_output=True, text=True,
                          check=False)


def drop_layer(tensors: Tensors, layer: int) -> Tensors:
    """The others, renumbered."""
    kept = {}
    for key, value in tensors.items():
        head, _, rest = key.partition("model.layers.")
        number, _, tail = rest.partition(".")
        if not rest:
            kept[head + key[len(head):]] = value
        elif int(number) != layer:
            kept[f"model.layers.{int(number) - (int(number) > layer)}.{tail}"] = value
    return kept


def fewer_units(tensors: Tensors) -> Tensors:
    """Every 8th unit of the feed-forward dropped."""
    keep = np.arange(FEED_FORWARD) % 8 != 3
    cut = {}
    for key, value in tensors.items():
        if "gate_proj" in key or "up_proj" in key:
            value = value[keep]
        elif "down_proj" in key:
            value = np.ascontiguousarray(value[:, keep])
        cut[key] = value
    return cut


def rotated(tensors: Tensors) -> Tensors:
    """The residual basis turned: only codes by tokens see the same units."""
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((HIDDEN, HIDDEN)))[0].astype(np.float32)
    out = {}
    for key, value in tensors.items():
        if key.endswith(("o_proj.weight", "down_proj.weight")):
            out[key] = turn.T @ value
        elif value.ndim == 2:
            out[key] = value @ turn
        else:
            out[key] = value
    return out


def add_tokenizer(folder: Path) -> Path:
    words = {f"word{i}": i for i in range(VOCABULARY)}
    (folder / "tokenizer.json").write_text(json.dumps(
        {"version": "1.0", "model": {"type": "BPE", "vocab": words, "merges": []}}))
    return folder


CHANGES = {
    "copy": lambda tensors: tensors,
    "noise": lambda tensors: noisy(tensors, 0.3),
    "far": lambda tensors: noisy(tensors, 1.5),
    "dropped": lambda tensors: drop_layer(tensors, 0),
    "narrow": lambda tensors: fewer_units(noisy(tensors, 0.05)),
    "rotated": rotated,
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_test_done_without_weir_gives_the_same_p(
        weir: Weir, known: Path, tmp_path: Path, change: str) -> None:
    model = write_folder(tmp_path / "m", CHANGES[change](llama_tensors(1)))
    base = write_folder(tmp_path / "base", llama_tensors(1))
    for folder in (model, base):
        add_tokenizer(folder)
    bundle = make_bundle(weir, known, model, "--base", base)
    stated = json.loads(bundle.read_text())

    done = without_weir("--model", model, bundle)

    assert stated["candidates"], "the change is not so large that the link is lost"
    assert (done.returncode, done.stderr) == (0, "")
    computed = {line.split("\t")[0]: float(line.split("\t")[2]) for line in done.stdout.splitlines()}
    for candidate in stated["candidates"]:
        assert computed[candidate["name"]] == pytest.approx(candidate["log10_p"], abs=1e-6)
    matched = {candidate["matched_by"] for candidate in stated["candidates"]}
    assert ("tokens" in matched) == (change == "rotated")
    assert replay(weir, bundle, model)["answer"] == "reproduced"


def test_without_weir_a_false_p_is_found(weir: Weir, known: Path, child: Path) -> None:
    bundle = make_bundle(weir, known, child)
    content = json.loads(bundle.read_text())
    content["candidates"][0]["log10_p"] -= 1
    assert without_weir(rewrite(bundle, candidates=content["candidates"])).returncode == 1
    (child / "model.safetensors").write_bytes(b"\0" * (child / "model.safetensors").stat().st_size)
    assert without_weir("--model", child, bundle).returncode == 1


def test_every_pair_of_strangers_and_relatives_agrees(weir: Weir, tmp_path: Path) -> None:
    """Chance leaves few units in their place: there every tie of the assignment counts."""
    registry = tmp_path / "r.db"
    tensors = [llama_tensors(i) for i in range(6)] + [noisy(llama_tensors(0), 2.5), fewer_units(llama_tensors(1)),
                                                      drop_layer(llama_tensors(2), 1)]
    files = []
    for i, content in enumerate(tensors):
        folder = add_tokenizer(write_folder(tmp_path / f"m{i}", content))
        assert weir("registry", "add", "--registry", registry, folder).code == 0
        files.append(tmp_path / f"{i}.weirfp")
        assert weir("registry", "export", "--registry", registry, f"m{i}", files[-1]).code == 0
    program = Path(os.environ.get("WEIR_BUILD", ROOT / "build")) / "tests" / "peer" / "link_null"
    printed = subprocess.run([program, *files], capture_output=True, text=True, check=True).stdout

    pairs = [line.split("\t") for line in printed.splitlines() if line.startswith("pair")]

    assert len(pairs) == len(files) * (len(files) - 1) // 2
    assert any(float(pair[3]) < -6 for pair in pairs) and any(float(pair[3]) == 0 for pair in pairs)
    for _, a, b, p, _ in pairs:
        done = without_weir("--pair", a, b)
        assert float(done.stdout) == pytest.approx(float(p), abs=1e-6), (a, b)
