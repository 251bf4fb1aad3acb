# SPDX-License-Identifier: Apache-2.0
"""What a hostile stranger hands over: names, shapes and pairs that no honest model has."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import WEIR, Weir, check_schema, environment
from models import HIDDEN, llama_tensors, write_folder, write_gguf
from safetensors.numpy import save_file


Change = Callable[[Path], None]


def write_adapter(folder: Path) -> Path:
    """A LoRA of the query of layer 0, as PEFT names it."""
    folder.mkdir()
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    module = "base_model.model.model.layers.0.self_attn.q_proj"
    save_file({f"{module}.lora_A.weight": np.ones((4, HIDDEN), np.float32),
               f"{module}.lora_B.weight": np.ones((HIDDEN, 4), np.float32)},
              folder / "adapter_model.safetensors")
    return folder


def write_raw(path: Path, shape: list[int], dtype: str, size: int, end: bytes = b"") -> Path:
    """One tensor in a sparse file, whose last bytes are `end`."""
    header = json.dumps({"w": {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}}).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)
        file.seek(8 + len(header) + size - len(end))
        file.write(end)
    return path


HOSTILE_NAMES = [b"new\nline.json", b"\xff\xfe.py", b"\x1b[31m.json", b"x" * 245 + b".json", b"tokenizer\n.json",
                 "\u202e.py".encode()]


def test_names_of_any_bytes_are_hashed_and_shown_printable(weir: Weir, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", llama_tensors())
    for name in HOSTILE_NAMES:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(b"{}")

    human = weir("inspect", "--digest", folder)
    result = weir("inspect", "--digest", "--json", folder).json()

    assert human.code == 0
    assert "\x1b" not in human.out
    assert len(result["files"]) == 2 + len(HOSTILE_NAMES)
    assert all(file["sha256"] for file in result["files"])
    assert result["model"]["id"]


def test_what_cannot_be_hashed_leaves_the_rest_hashed(weir: Weir, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", llama_tensors())
    os.mkfifo(folder / "pipe")
    (folder / "dangling").symlink_to("nowhere")

    done = weir("inspect", "--digest", "--json", folder)

    assert done.code == 0
    hashes = {file["path"]: file["sha256"] for file in done.json()["files"]}
    assert hashes["model.safetensors"] and hashes["config.json"]
    assert hashes["pipe"] is hashes["dangling"] is None
    assert done.json()["model"]["id"] is None


def test_an_adapter_is_no_base(weir: Weir, tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base", llama_tensors())
    adapter = write_adapter(tmp_path / "adapter")

    for model in (base, adapter):
        done = weir("diff", "--json", adapter, model)
        assert done.code == 3
        assert done.json()["code"] == "unsupported"


def test_a_left_over_adapter_config_does_not_hide_the_weights(weir: Weir, tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base", llama_tensors(0))
    model = write_folder(tmp_path / "model", llama_tensors(1))
    (model / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4}))

    result = weir("diff", "--json", base, model).json()

    assert result["relation"] in ("no_link", "cannot_decide")
    assert any(tensor["state"] == "compared" for tensor in result["tensors"])


def test_an_adapter_of_another_model_is_not_called_identical(weir: Weir, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_embd": 8, "n_head": 2, "n_layer": 1}))
    save_file({"wte.weight": np.ones((5, 8), np.float32)}, other / "model.safetensors")

    result = weir("diff", "--json", other, write_adapter(tmp_path / "adapter")).json()

    assert result["relation"] == "cannot_decide"
    assert [change["class"] for change in result["changes"]] == ["unknown"]


def test_numbers_that_are_no_numbers_leave_the_change_unmeasured(weir: Weir, tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base", llama_tensors())
    broken = {name: np.full_like(values, np.nan) for name, values in llama_tensors().items()}
    model = write_folder(tmp_path / "model", broken)

    result = weir("diff", "--json", base, model).json()
    assessed = weir("assess", model, "--base", base)

    assert result["unexplained"] is None
    assert result["relation"] == "cannot_decide"
    assert "the numbers are the base" not in assessed.out


@pytest.mark.parametrize("shape", [[0, 5], [2**40, 0], [0, 2**40, 3], [], [1] * 8])
def test_shapes_without_numbers_and_of_any_rank_are_compared(weir: Weir, tmp_path: Path,
                                                             shape: list[int]) -> None:
    size = 0 if 0 in shape else 4
    path = write_raw(tmp_path / "w.safetensors", shape, "F32", size)

    done = weir("diff", "--json", path, path)

    assert done.code == 0
    check_schema(done.json())
    assert done.json()["relation"] == "identical"


def test_a_vector_of_a_billion_numbers_is_compared_in_little_memory(tmp_path: Path) -> None:
    """Sparse files of half a gigabyte; the numbers are read in pieces."""
    count = 1 << 27
    base = write_raw(tmp_path / "base.safetensors", [count], "F32", 4 * count)
    model = write_raw(tmp_path / "model.safetensors", [count], "BF16", 2 * count, b"\x80\x3f")

    pid = os.posix_spawn(WEIR, [str(WEIR), "diff", "--jobs", "2", "-q", str(base), str(model)], environment())
    _, status, usage = os.wait4(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert usage.ru_maxrss < 256 * 1024


def test_a_model_is_its_own_base_through_links_and_dots(weir: Weir, tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base", llama_tensors())
    file = write_gguf(tmp_path / "model.gguf", llama_tensors())
    (tmp_path / "link").symlink_to(base)

    for pair in ((base, tmp_path / "link"), (base, "../base/../link/."), (file, file)):
        done = weir("diff", "--json", *pair, cwd=base)
        assert done.code == 0
        assert done.json()["relation"] == "identical"


def test_names_on_the_command_line_do_not_reach_the_terminal(weir: Weir, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", llama_tensors())

    named = weir("inspect", "--name", "a\x1b[31m\nb", folder)
    refused = weir("diff", folder, folder, "c\x1b[31m")

    assert (named.code, refused.code) == (0, 2)
    assert "\x1b" not in named.out + named.err + refused.out + refused.err
    assert weir("inspect", "--name", "", folder).code == 2


def test_an_empty_path_is_called_that(weir: Weir) -> None:
    done = weir("inspect", "")

    assert done.code == 5
    assert "an empty path" in done.err


def test_two_outputs_to_one_file_are_refused(weir: Weir, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", llama_tensors())
    target = f"json={tmp_path / 'out.json'}"

    assert weir("inspect", folder, "-o", target, "-o", target).code == 2
    assert not (tmp_path / "out.json").exists()


def test_many_operands_need_no_more_open_files_than_the_system_allows(weir: Weir, tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "model-00001-of-00001.gguf", llama_tensors())  # its folder is read too

    done = weir("inspect", "--json", *[file] * 2200, preexec_fn=limit_open_files)

    assert done.err == ""
    assert len(done.json()) == 2200


def limit_open_files() -> None:
    """The usual soft limit."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


@pytest.mark.parametrize("stream", [0, 1, 2])
def test_a_closed_standard_stream_is_no_file_of_the_model(weir: Weir, tmp_path: Path, stream: int) -> None:
    folder = write_folder(tmp_path / "model", llama_tensors())
    out = tmp_path / "out.json"

    weir("inspect", folder, tmp_path / "nowhere", "-o", f"json={out}", preexec_fn=lambda: os.close(stream))

    check_schema(json.loads(out.read_text())[0] if out.read_text()[0] == "[" else json.loads(out.read_text()))


def write_copy(folder: Path) -> Path:
    """Weights, code and a tokenizer that are the same in every copy."""
    write_folder(folder, llama_tensors())
    (folder / "modeling.py").write_text("harmless = 1\n")
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}))
    return folder


def change_code(folder: Path) -> None:
    (folder / "modeling.py").write_text("harmful_ = 1\n")


def add_pickle(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04]\x94.")


def change_normaliser(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(content | {"normalizer": {"type": "Lowercase"}}))


def remove_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


@pytest.mark.parametrize("change", [change_code, add_pickle, change_normaliser, remove_tokenizer])
def test_equal_weights_beside_other_files_add_something_unknown(weir: Weir, tmp_path: Path, change: Change) -> None:
    base = write_copy(tmp_path / "base")
    model = write_copy(tmp_path / "model")
    (model / "README.md").write_text("Another card.\n")

    before = weir("assess", "--json", model, "--base", base).json()["tier"]
    change(model)
    after = weir("assess", "--json", model, "--base", base).json()["tier"]

    assert before == {"low": 0, "high": 0}
    assert after == {"low": 0, "high": 4}


def test_a_gguf_file_of_other_metadata_is_no_copy(weir: Weir, tmp_path: Path) -> None:
    base = write_gguf(tmp_path / "base.gguf", llama_tensors())
    model = write_gguf(tmp_path / "next.gguf", llama_tensors())  # general.name differs

    itself = weir("assess", "--json", base, "--base", base).json()["tier"]
    other = weir("assess", "--json", model, "--base", base).json()["tier"]

    assert itself == {"low": 0, "high": 0}
    assert other == {"low": 0, "high": 4}


def limit_memory() -> None:
    """Too little for the stacks of 64 threads."""
    resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))


def test_threads_that_cannot_start_are_done_without(weir: Weir, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", llama_tensors())
    if weir("--version", preexec_fn=limit_memory).code != 0:
        pytest.skip("a sanitizer reserves more addresses than that")

    done = weir("diff", "--jobs", "64", folder, folder, preexec_fn=limit_memory)

    assert done.code in (0, 5)
    assert "libgomp" not in done.err
