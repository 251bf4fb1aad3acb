# SPDX-License-Identifier: Apache-2.0
"""Where results go: formats, files, full disks, closed pipes, terminals."""

from __future__ import annotations

import json
import os
import pty
import resource
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import WEIR, Weir, check_schema, environment
from models import llama_tensors, write_folder, write_gguf, write_shards


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A model, and the same with one matrix changed."""
    tensors = llama_tensors()
    base = write_folder(tmp_path / "base", tensors)
    tensors["model.layers.1.mlp.down_proj.weight"] = tensors["model.layers.1.mlp.down_proj.weight"] * 1.5
    return base, write_folder(tmp_path / "model", tensors)


def on_terminal(words: list[object], **env: str) -> tuple[int, str]:
    """Run with standard output and error on a terminal. @return code and what was shown"""
    master, slave = pty.openpty()
    process = subprocess.Popen([WEIR, *map(str, words)], stdin=subprocess.DEVNULL, stdout=slave,
                               stderr=slave, env=environment(**env))
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        shown += part
    os.close(master)
    return process.wait(timeout=60), shown.decode()


@pytest.mark.parametrize("verb", ["inspect", "diff", "assess"])
def test_json_keeps_to_its_schema(weir: Weir, pair: tuple[Path, Path], verb: str) -> None:
    base, model = pair
    words = {"inspect": [model], "diff": [base, model], "assess": [model, "--base", base]}[verb]

    done = weir(verb, "--json", *words)

    assert (done.code, done.err) == (0, "")
    check_schema(done.json())
    assert str(model.parent) not in done.out


def test_several_inspections_are_an_array(weir: Weir, pair: tuple[Path, Path]) -> None:
    answers = weir("inspect", "--json", *pair).json()

    assert [answer["model"]["name"] for answer in answers] == ["base", "model"]


def test_name_is_used_in_results(weir: Weir, pair: tuple[Path, Path]) -> None:
    assert weir("inspect", "--json", "--name", "zebra", pair[0]).json()["model"]["name"] == "zebra"


def test_outputs_go_to_files_and_to_stdout_at_once(weir: Weir, pair: tuple[Path, Path], tmp_path: Path) -> None:
    report = tmp_path / "report.json"

    done = weir("diff", *pair, "-o", "table", "-o", f"json={report}")

    assert done.code == 0
    assert done.out == weir("diff", *pair).out
    assert report.read_text() == weir("diff", *pair, "--json").out
    assert report.stat().st_mode & 0o777 == 0o666 & ~os.umask(os.umask(0o022))


def test_only_files_leave_stdout_empty(weir: Weir, pair: tuple[Path, Path], tmp_path: Path) -> None:
    done = weir("inspect", pair[0], "-o", f"json={tmp_path / 'a.json'}")

    assert (done.code, done.out) == (0, "")


def test_the_result_is_the_same_for_any_number_of_threads(weir: Weir, pair: tuple[Path, Path]) -> None:
    one = weir("diff", "--json", "--jobs", "1", *pair).out

    assert one == weir("diff", "--json", "--jobs", "3", *pair).out
    assert one == weir("diff", "--json", *pair, env={"WEIR_SIMD": "base"}).out


def test_a_failed_call_keeps_the_file_that_was_there(weir: Weir, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text("before")

    done = weir("inspect", tmp_path / "nowhere", "-o", f"json={report}")

    assert done.code == 5
    assert report.read_text() == "before"
    assert os.listdir(tmp_path) == ["report.json"]


def test_a_full_disk_keeps_the_file_that_was_there(weir: Weir, pair: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    report = folder / "report.json"
    report.write_text("before")

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))

    done = weir("inspect", pair[0], "-o", f"json={report}", preexec_fn=no_room)

    assert done.code == 5
    assert "report.json" in done.err and "File too large" in done.err
    assert report.read_text() == "before"
    assert os.listdir(folder) == ["report.json"]


def test_a_full_device_is_said(weir: Weir, pair: tuple[Path, Path]) -> None:
    direct = weir("inspect", pair[0], "-o", "json=/dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run([WEIR, "inspect", pair[0]], stdout=full, stderr=subprocess.PIPE, text=True,
                              env=environment(), check=False)

    assert direct.code == 5 and "No space left" in direct.err
    assert done.returncode == 5 and "No space left" in done.stderr


@pytest.mark.parametrize("place", ["no/such/folder/a.json", "."])
def test_a_place_that_cannot_be_written_is_said_before_the_work(
    weir: Weir, pair: tuple[Path, Path], tmp_path: Path, place: str
) -> None:
    done = weir("inspect", pair[0], "-o", f"json={place}", cwd=tmp_path)

    assert done.code == 5
    assert done.err.startswith("weir: ")


@pytest.mark.parametrize("words", [["help"], ["inspect"], ["inspect", "--json"]], ids=" ".join)
def test_a_closed_pipe_is_quiet(pair: tuple[Path, Path], words: list[str]) -> None:
    model = [str(pair[0])] if words != ["help"] else []
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = subprocess.run([WEIR, *words, *model], stdout=write_end, stderr=subprocess.PIPE,
                             env=environment(), check=False,
                             preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL))
    os.close(write_end)

    assert process.stderr == b""
    assert process.returncode == 0


def test_colour_only_on_a_terminal_that_wants_it(weir: Weir, pair: tuple[Path, Path]) -> None:
    words = ["diff", *pair]

    assert "\x1b[" in on_terminal(words)[1]
    assert "\x1b[" not in weir(*words).out
    assert "\x1b[" not in on_terminal([*words, "--no-color"])[1]
    assert "\x1b[" not in on_terminal(words, NO_COLOR="1")[1]
    assert "\x1b[" not in on_terminal(words, TERM="dumb")[1]


def test_a_locale_without_utf8_gets_ascii(weir: Weir, pair: tuple[Path, Path]) -> None:
    assert weir("diff", *pair, env={"LC_ALL": "C"}).out.isascii()


def test_hints_only_on_a_terminal(weir: Weir, pair: tuple[Path, Path]) -> None:
    assert weir("diff", *pair).err == ""
    assert "next: weir assess" in on_terminal(["diff", *pair])[1]
    assert "next:" not in on_terminal(["diff", "-q", *pair])[1]


def test_quiet_is_one_line(weir: Weir, pair: tuple[Path, Path]) -> None:
    for words in (["inspect", pair[0]], ["diff", *pair], ["assess", pair[1], "--base", pair[0]]):
        done = weir(*words, "-q")
        assert done.out.count("\n") == 1, words


def test_a_folder_of_links_is_read(weir: Weir, tmp_path: Path) -> None:
    """As in the caches of model hubs: names that lead to files elsewhere."""
    blobs = write_folder(tmp_path / "blobs", llama_tensors())
    links = tmp_path / "snapshot"
    links.mkdir()
    for name in ("config.json", "model.safetensors"):
        (links / name).symlink_to(f"../blobs/{name}")

    done = weir("diff", "--json", blobs, links)

    assert done.code == 0
    assert done.json()["relation"] == "identical"


def test_other_parts_of_a_split_model_are_read(weir: Weir, tmp_path: Path) -> None:
    whole = write_folder(tmp_path / "whole", llama_tensors())
    shards = write_shards(tmp_path / "shards", llama_tensors())

    done = weir("diff", "--json", whole, shards)

    assert done.code == 0
    assert done.json()["relation"] == "identical"


def test_a_quantised_copy_is_proved(weir: Weir, tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base", llama_tensors())
    copy = write_gguf(tmp_path / "copy.gguf", llama_tensors(), "Q8_0")

    answer = weir("diff", "--json", base, copy).json()

    assert answer["relation"] == "derived"
    assert "quantised" in [change["class"] for change in answer["changes"]]


def test_json_text_is_one_document(weir: Weir, pair: tuple[Path, Path]) -> None:
    assert isinstance(json.loads(weir("assess", "--json", pair[1]).out), dict)
