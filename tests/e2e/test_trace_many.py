# SPDX-License-Identifier: Apache-2.0
"""weir trace --jsonl and --resume: trees of models, one line each."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import resource
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import WEIR, Result, Weir, check_schema, environment
from models import llama_tensors, write_folder, write_gguf, write_shards
from test_cli_signals import wait_for_handlers


@pytest.fixture
def known(weir: Weir, tmp_path: Path) -> Path:
    file = tmp_path / "known" / "registry.db"
    roots = [write_folder(tmp_path / "roots" / f"root-{i}", llama_tensors(i)) for i in range(2)]
    assert weir("registry", "add", "--registry", file, *roots).code == 0
    return file


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    write_folder(folder / "org" / "copy", llama_tensors(1))
    write_shards(folder / "org" / "shards", llama_tensors(0))
    (folder / "files").mkdir()
    write_gguf(folder / "files" / "one.gguf", llama_tensors(0), "Q8_0")
    write_gguf(folder / "files" / "two.gguf", llama_tensors(7))
    return folder


NAMES = ["files/one.gguf", "files/two.gguf", "org/copy", "org/shards"]


def lines(text: str) -> list[Any]:
    found = [json.loads(line) for line in text.splitlines()]
    for line in found:
        check_schema(line)
    return found


def name(line: Any) -> str:
    return line["model"]["name"] if line["schema"] == "weir.trace/1" else line["model"]


def names(text: str) -> list[str]:
    return [name(line) for line in lines(text)]


def trace(weir: Weir, known: Path, *words: object, **more: Any) -> Result:
    return weir("trace", "--registry", known, *words, **more)


def test_each_model_of_a_tree_has_a_line_in_the_order_of_paths(weir: Weir, known: Path, tree: Path) -> None:
    done = trace(weir, known, "--jsonl", tree)

    assert (done.code, done.err) == (0, "")
    assert names(done.out) == NAMES
    assert [line["verdict"] for line in lines(done.out)] == ["derived", "no_link", "identical", "identical"]
    assert trace(weir, known, "--jsonl", tree, "--jobs", 1).out == done.out


def test_a_line_is_what_one_model_alone_gives(weir: Weir, known: Path, tree: Path) -> None:
    many = lines(trace(weir, known, "--jsonl", tree).out)
    for line, path in zip(many, NAMES, strict=True):
        alone = json.loads(trace(weir, known, "--json", "--name", path, tree / path).out)
        assert line == alone


def test_operands_may_be_models_and_trees(weir: Weir, known: Path, tree: Path) -> None:
    done = trace(weir, known, "--jsonl", tree / "org" / "copy/", tree / "files", tree / "files" / "one.gguf")

    assert done.code == 0
    assert names(done.out) == ["copy", "one.gguf", "two.gguf", "one.gguf"]


def test_a_hub_cache_is_followed_to_its_blobs_and_linked_folders_are_not(
        weir: Weir, known: Path, tmp_path: Path) -> None:
    model = write_folder(tmp_path / "plain", llama_tensors(1))
    repository = tmp_path / "hub" / "models--org--name"
    snapshot = repository / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for i, file in enumerate(sorted(model.iterdir())):
        (repository / "blobs" / f"{i:064}").write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(f"../../blobs/{i:064}")
    (tmp_path / "hub" / "again").symlink_to(snapshot, target_is_directory=True)
    (tmp_path / "hub" / "loop").symlink_to(tmp_path / "hub", target_is_directory=True)

    done = trace(weir, known, "--jsonl", tmp_path / "hub")

    assert done.code == 0
    assert names(done.out) == ["models--org--name/snapshots/0123abcd"]
    assert lines(done.out)[0]["verdict"] == "identical"


def test_parts_of_a_split_gguf_are_one_model(weir: Weir, known: Path, tmp_path: Path) -> None:
    folder = tmp_path / "split"
    folder.mkdir()
    for part in ("a-00002-of-00002", "a-00001-of-00002", "a-00001-of-00003", "b-0001-of-0002"):
        (folder / f"{part}.gguf").write_bytes(b"GGUF")

    done = trace(weir, known, "--jsonl", folder)

    assert done.code == 3
    assert names(done.out) == ["a-00001-of-00002.gguf", "a-00001-of-00003.gguf", "b-0001-of-0002.gguf"]


def test_what_cannot_be_analysed_has_a_line_and_the_worst_is_the_exit_code(
        weir: Weir, known: Path, tree: Path) -> None:
    (tree / "bad").mkdir()
    (tree / "bad" / "model.safetensors").write_bytes(b"\xff" * 64)
    malformed = trace(weir, known, "--jsonl", tree)
    (tree / "lost").mkdir()
    (tree / "lost" / "model.safetensors.index.json").write_text("{}")
    (tree / "a.gguf").symlink_to("nowhere")
    missing = trace(weir, known, "--jsonl", tree)

    assert malformed.code == 3 and missing.code == 5
    assert names(malformed.out) == ["bad", *NAMES]
    assert lines(malformed.out)[0]["code"] == "format"
    assert names(missing.out) == ["a.gguf", "bad", *NAMES[:2], "lost", *NAMES[2:]]
    assert lines(missing.out)[0]["code"] == "io"


def test_a_missing_operand_an_empty_tree_and_a_deep_one_are_told(weir: Weir, known: Path, tmp_path: Path) -> None:
    deep = tmp_path / "deep" / "/".join("abcdefgh")
    write_folder(deep / "m", llama_tensors(1))
    write_folder(deep.parent / "m", llama_tensors(1))
    (tmp_path / "empty").mkdir()

    done = trace(weir, known, "--jsonl", tmp_path / "nowhere", tmp_path / "empty", tmp_path / "deep")

    assert done.code == 5
    found = lines(done.out)
    assert [name(line) for line in found] == ["nowhere", "empty", "a/b/c/d/e/f/g/h/m", "a/b/c/d/e/f/g/m"]
    assert [line.get("code") for line in found] == ["io", "unsupported", "limit", None]


HOSTILE = ["line\nbreak", "\x1b[31mred", "tab\there", "quote\"back\\slash", "‮right", "name with spaces"]


def test_names_of_folders_cannot_forge_lines(weir: Weir, known: Path, tmp_path: Path) -> None:
    for part in HOSTILE:
        write_folder(tmp_path / "t" / part, llama_tensors(1))
    raw = os.fsencode(tmp_path / "t") + b"/bad\xff\xfe"
    os.rename(write_folder(tmp_path / "t" / "x", llama_tensors(0)), raw)
    kept = tmp_path / "lines.jsonl"

    done = trace(weir, known, "--jsonl", "--resume", kept, tmp_path / "t")
    again = trace(weir, known, "--jsonl", "--resume", kept, tmp_path / "t")

    assert done.code == 0
    assert len(lines(done.out)) == len(HOSTILE) + 1
    assert kept.read_text() == done.out
    assert "\x1b" not in done.out and "‮" not in done.out
    assert "line\\x0Abreak" in names(done.out) and "bad\\xFF\\xFE" in names(done.out)
    assert (again.code, again.out) == (0, "")


# --- what goes with what ---


@pytest.mark.parametrize("words", [
    ["--jsonl", "--name", "x", "MODEL"],
    ["--jsonl", "-o", "table=t", "MODEL"],
    ["--resume", "f", "--json", "MODEL"],
    ["--resume", "f", "-o", "jsonl=f", "MODEL"],
    ["--resume", "f", "-o", "bundle=b", "MODEL"],
    ["MODEL", "MODEL"],
    ["--jsonl", "-o", "jsonl=-", "MODEL"],
])
def test_what_does_not_go_together_is_refused(weir: Weir, tmp_path: Path, words: list[str]) -> None:
    done = weir("trace", *words, cwd=tmp_path)

    assert done.code == 2
    assert done.out == ""
    assert os.listdir(tmp_path) == []


def test_only_trace_writes_lines(weir: Weir, tree: Path) -> None:
    for format_name in ("jsonl", "bundle"):
        done = weir("inspect", "-o", format_name, tree)
        assert done.code == 2
        assert "there is: table, json\n" in done.err


# --- going on ---


def test_resume_passes_over_models_that_have_a_line(weir: Weir, known: Path, tree: Path, tmp_path: Path) -> None:
    kept = tmp_path / "lines.jsonl"
    assert trace(weir, known, "--resume", kept, tree / "org").out == ""
    assert names(kept.read_text()) == ["copy", "shards"]
    kept.unlink()
    whole = trace(weir, known, "--jsonl", "--resume", kept, tree)
    assert kept.read_text() == whole.out

    write_folder(tree / "more", llama_tensors(9))
    done = trace(weir, known, "--jsonl", "--resume", kept, tree)

    assert done.code == 0
    assert names(done.out) == ["more"]
    assert names(kept.read_text()) == [*NAMES, "more"]


def test_a_line_that_was_cut_anywhere_is_made_again(weir: Weir, known: Path, tree: Path, tmp_path: Path) -> None:
    kept = tmp_path / "lines.jsonl"
    trace(weir, known, "--resume", kept, tree)
    whole = kept.read_bytes()
    begin = whole.rindex(b"\n", 0, -1) + 1
    for cut in (begin, begin + 1, begin + 30, len(whole) - 1):
        kept.write_bytes(whole[:cut])
        assert trace(weir, known, "--resume", kept, tree).code == 0
        assert kept.read_bytes() == whole


def test_two_models_of_one_name_are_both_done(weir: Weir, known: Path, tmp_path: Path) -> None:
    for root in ("x", "y"):
        write_folder(tmp_path / root / "same", llama_tensors(1))
    kept = tmp_path / "lines.jsonl"

    trace(weir, known, "--resume", kept, tmp_path / "x", tmp_path / "y")
    kept.write_bytes(kept.read_bytes().splitlines(keepends=True)[0])
    trace(weir, known, "--resume", kept, tmp_path / "x", tmp_path / "y")

    assert names(kept.read_text()) == ["same", "same"]


@pytest.mark.parametrize("content", [b"GGUF\x03", b"notes\n", b'{"schema": "weir.diff/1"}\n', b"{}\n"])
def test_a_file_that_is_not_of_lines_is_left_alone(
        weir: Weir, known: Path, tree: Path, tmp_path: Path, content: bytes) -> None:
    kept = tmp_path / "precious"
    kept.write_bytes(content)

    done = trace(weir, known, "--resume", kept, tree)

    assert done.code == 3
    assert "precious" in done.err
    assert kept.read_bytes() == content


def test_two_at_once_do_not_mix_their_lines(weir: Weir, known: Path, tree: Path, tmp_path: Path) -> None:
    kept = tmp_path / "lines.jsonl"
    with kept.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = trace(weir, known, "--resume", kept, tree)

    assert done.code == 5
    assert kept.read_bytes() == b""


def many(tmp_path: Path, count: int) -> Path:
    """Models that share their bytes: links to one file."""
    model = write_folder(tmp_path / "one", llama_tensors(1))
    for i in range(count):
        folder = tmp_path / "many" / f"m{i:04}"
        folder.mkdir(parents=True)
        for file in model.iterdir():
            os.link(file, folder / file.name)
    return tmp_path / "many"


def start(*words: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([WEIR, "trace", *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=environment())


def wait_for_lines(file: Path, count: int) -> None:
    for _ in range(6000):
        if file.exists() and file.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.005)
    pytest.fail("no lines")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_whatever_stops_it_leaves_whole_lines_and_the_rest_can_be_done(
        weir: Weir, known: Path, tmp_path: Path, number: int) -> None:
    tree = many(tmp_path, 400)
    kept = tmp_path / "lines.jsonl"
    process = start("--registry", known, "--resume", kept, tree)
    wait_for_lines(kept, 3)
    process.send_signal(number)
    process.communicate(timeout=60)
    before = kept.read_bytes()

    done = trace(weir, known, "--resume", kept, tree)

    assert process.returncode == {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert 3 <= before.count(b"\n") < 400
    assert done.code == 0
    assert kept.read_bytes().startswith(before[:before.rindex(b"\n") + 1])
    assert names(kept.read_text()) == [f"m{i:04}" for i in range(400)]


def test_ctrl_c_leaves_no_half_made_output_file(known: Path, tmp_path: Path) -> None:
    tree = many(tmp_path, 400)
    out = tmp_path / "out"
    out.mkdir()
    kept = tmp_path / "lines.jsonl"
    process = start("--registry", known, "--resume", kept, "-o", f"jsonl={out / 'all.jsonl'}", tree)
    wait_for_handlers(process)
    wait_for_lines(kept, 1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert process.returncode == 130
    assert os.listdir(out) == []


def test_a_reader_that_goes_away_ends_the_work_quietly(known: Path, tmp_path: Path) -> None:
    process = start("--registry", known, "--jsonl", many(tmp_path, 400))
    assert process.stdout and process.stderr
    first = process.stdout.readline()
    process.stdout.close()
    message = process.stderr.read()

    assert process.wait(timeout=60) == 0
    assert name(json.loads(first)) == "m0000"
    assert message == b""


def test_a_full_disk_is_a_failure_of_the_environment(known: Path, tree: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([WEIR, "trace", "--registry", known, "--jsonl", tree], stdout=full,
                              stderr=subprocess.PIPE, env=environment(), check=False)
    assert done.returncode == 5
    assert b"standard output" in done.stderr


def test_a_full_disk_under_the_lines_leaves_what_can_be_gone_on_with(
        weir: Weir, known: Path, tree: Path, tmp_path: Path) -> None:
    kept = tmp_path / "lines.jsonl"
    assert trace(weir, known, "--jsonl", tree).code == 0  # makes the search index

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2500, 2500))

    failed = trace(weir, known, "--resume", kept, tree, preexec_fn=limit)
    assert failed.code == 5
    assert "lines.jsonl" in failed.err
    assert 0 < kept.stat().st_size <= 2500

    assert trace(weir, known, "--resume", kept, tree).code == 0
    assert names(kept.read_text()) == NAMES


def test_few_files_are_open_whatever_the_number_of_models(weir: Weir, known: Path, tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))

    done = trace(weir, known, "--jsonl", many(tmp_path, 100), preexec_fn=limit)

    assert done.code == 0
    assert len(done.out.splitlines()) == 100


def test_a_terminal_shows_models_done_and_time_left(known: Path, tmp_path: Path) -> None:
    tree = many(tmp_path, 3000)
    master, slave = pty.openpty()
    process = subprocess.Popen([WEIR, "trace", "--registry", known, "--jsonl", tree], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=slave, env=environment())
    os.close(slave)

    shown = b""
    while b" left" not in shown:
        shown += os.read(master, 4096)
    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=60) == 130
    assert b" of 3000 models" in shown
    os.close(master)
