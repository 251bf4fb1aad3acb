# SPDX-License-Identifier: Apache-2.0
"""A registry and what befalls it: crowds, kill -9, full disks, locks, damage, other versions, closed folders."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import WEIR, Result, Weir, check_schema, environment
from models import llama_tensors, write_folder

COUNT = 12
NOBODY = 65534


@pytest.fixture(scope="module")
def fingerprints(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Fingerprints of models that have nothing in common."""
    folder = tmp_path_factory.mktemp("fingerprints")
    models = [write_folder(folder / f"m{seed:02}", llama_tensors(seed)) for seed in range(COUNT)]
    file = folder / "registry.db"
    run(["registry", "add", *models, "--registry", file])
    out = []
    for model in models:
        out.append(folder / f"{model.name}.weirfp")
        run(["registry", "export", model.name, out[-1], "--registry", file])
    return out


@pytest.fixture
def file(tmp_path: Path, fingerprints: list[Path]) -> Path:
    """A registry of two models."""
    path = tmp_path / "kept" / "registry.db"
    run(["registry", "add", *fingerprints[:2], "--registry", path])
    return path


def run(words: list[object]) -> None:
    subprocess.run([WEIR, *map(str, words)], check=True, env=environment(), capture_output=True, timeout=60)


def names(weir: Weir, file: Path) -> list[str]:
    answer = weir("registry", "list", "--json", "--registry", file)
    assert answer.code == 0, answer.out
    check_schema(answer.json())
    return [model["name"] for model in answer.json()["models"]]


def assert_whole(weir: Weir, file: Path) -> None:
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    done = weir("registry", "verify", "--registry", file)
    assert (done.code, done.out) == (0, "The registry is whole\n")


def test_two_processes_that_add_at_once_lose_nothing(weir: Weir, tmp_path: Path, fingerprints: list[Path]) -> None:
    file = tmp_path / "new" / "registry.db"
    halves = [fingerprints[::2], fingerprints[1::2]]

    started = [subprocess.Popen([WEIR, "registry", "add", *half, "--registry", file], env=environment(),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for half in halves]
    done = [process.communicate(timeout=60) for process in started]

    assert [(process.returncode, err) for process, (_, err) in zip(started, done, strict=True)] == [(0, "")] * 2
    assert sorted(names(weir, file)) == [path.stem for path in fingerprints]
    assert_whole(weir, file)
    answer = weir("registry", "list", "--json", "--registry", file).json()
    assert answer["generation"] == COUNT
    assert [model["entry"] for model in answer["models"]] == list(range(1, COUNT + 1))


def test_two_processes_that_add_the_same_add_it_once(weir: Weir, tmp_path: Path, fingerprints: list[Path]) -> None:
    file = tmp_path / "new" / "registry.db"

    started = [subprocess.Popen([WEIR, "registry", "add", *fingerprints, "--registry", file], env=environment(),
                                stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outs = [process.communicate(timeout=60)[0] for process in started]

    assert [process.returncode for process in started] == [0, 0]
    assert names(weir, file) == [path.stem for path in fingerprints]
    assert sum(out.count("added as entry") for out in outs) == COUNT


def test_kill_9_at_any_moment_leaves_a_whole_registry(weir: Weir, tmp_path: Path, fingerprints: list[Path]) -> None:
    """What was reported as added is there; what is there was added in order."""
    chance = random.Random(20)
    some = fingerprints[:6]
    stems = [path.stem for path in some]
    began = time.monotonic()
    run(["registry", "add", *some, "--registry", tmp_path / "timed.db"])
    whole = time.monotonic() - began
    partial = 0
    for trial in range(30):
        file = tmp_path / f"{trial}.db"
        process = subprocess.Popen([WEIR, "registry", "add", *some, "--registry", file], env=environment(),
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        time.sleep(chance.uniform(0, 1.1 * whole))
        process.kill()
        said = process.communicate(timeout=60)[0]

        kept = names(weir, file)
        assert kept == stems[:len(kept)]
        assert all(f"{name}: added" not in said or name in kept for name in stems)
        partial += 0 < len(kept) < len(some)
        if kept:
            assert_whole(weir, file)
        run(["registry", "add", *some, "--registry", file])
        assert names(weir, file) == stems
    assert partial > 0  # some were killed in the middle


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_whole_registry(weir: Weir, tmp_path: Path, fingerprints: list[Path], number: int) -> None:
    file = tmp_path / "registry.db"
    process = subprocess.Popen([WEIR, "registry", "add", *fingerprints * 20, "--registry", file], env=environment(),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not file.exists() and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(number)

    assert process.wait(timeout=60) in (128 + number, 0)
    names(weir, file)


@pytest.mark.parametrize("room", [0, 4096, 20000])
def test_a_full_disk_is_said_and_changes_nothing(
    weir: Weir, file: Path, fingerprints: list[Path], room: int
) -> None:
    before = names(weir, file)
    size = file.stat().st_size if room else 0

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (max(size - room, 512), max(size - room, 512)))

    done = weir("registry", "add", fingerprints[5], "--registry", file, preexec_fn=no_room)

    assert done.code == 5
    assert "registry.db" in done.err
    assert names(weir, file) == before
    assert_whole(weir, file)


def test_a_locked_registry_is_waited_for(weir: Weir, file: Path, fingerprints: list[Path]) -> None:
    holder = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(1, lambda: holder.execute("COMMIT"))
    release.start()

    done = weir("registry", "add", fingerprints[4], "--registry", file)

    release.join()
    holder.close()
    assert (done.code, done.err) == (0, "")
    assert fingerprints[4].stem in names(weir, file)


def test_a_registry_that_stays_locked_is_said(weir: Weir, file: Path, fingerprints: list[Path]) -> None:
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")

    done = weir("registry", "add", fingerprints[4], "--registry", file)

    holder.execute("COMMIT")
    holder.close()
    assert done.code == 5
    assert "registry.db" in done.err and "locked for more than 5000 ms" in done.err
    assert fingerprints[4].stem not in names(weir, file)


@pytest.mark.parametrize("action", ["list", "add", "verify"])
def test_a_damaged_registry_is_refused_and_left_alone(
    weir: Weir, file: Path, fingerprints: list[Path], action: str
) -> None:
    words = [fingerprints[3]] if action == "add" else []
    whole = file.read_bytes()
    cases = {
        "other bytes": b"just a text\n" * 1000,
        "header": bytes(100) + whole[100:],
        "cut in a page": whole[:9000],
        "cut in the header": whole[:60],
    }
    for name, damaged in cases.items():
        file.write_bytes(damaged)

        done = weir("registry", action, *words, "--registry", file)
        told = weir("registry", action, *words, "--registry", file, "--json")

        assert done.code == told.code == 5, name
        assert "registry.db: byte " in done.err, name
        check_schema(told.json())
        assert told.json()["file"] == "registry.db" and told.json()["at"]
        assert file.read_bytes() == damaged, name


def test_flipped_bytes_are_told_or_change_nothing(weir: Weir, file: Path) -> None:
    whole = file.read_bytes()
    answer = weir("registry", "show", "#1", "#2", "--registry", file, "--json").json()
    chance = random.Random(5)
    refused = 0
    for _ in range(60):
        at = chance.randrange(len(whole))
        damaged = bytearray(whole)
        damaged[at] ^= 1 << chance.randrange(8)
        file.write_bytes(damaged)

        done = weir("registry", "show", "#1", "#2", "--registry", file, "--json")

        assert done.code in (0, 2, 5), at  # 2: the number of an entry is another now
        refused += done.code != 0
        if done.code == 0:
            assert done.json()["models"] == answer["models"], at
        else:
            check_schema(done.json())
    assert refused > 0


def test_verify_is_a_gate(weir: Weir, file: Path) -> None:
    with sqlite3.connect(file) as db:
        db.execute("UPDATE model SET name = 'better' WHERE model_id = 2")
        db.execute("UPDATE fingerprint SET bytes = zeroblob(length(bytes)) WHERE model_id = 1")

    table = weir("registry", "verify", "--registry", file)
    answer = weir("registry", "verify", "--registry", file, "--json")

    assert table.code == answer.code == 1
    assert "damaged: 2 problems" in table.out
    check_schema(answer.json())
    assert [problem["at"] for problem in answer.json()["problems"]] == ["entry #1", "entry #2"]


def test_a_newer_registry_is_refused_and_left_alone(weir: Weir, file: Path, fingerprints: list[Path]) -> None:
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA user_version = 2")
    before = file.read_bytes()

    for words in (["list"], ["add", fingerprints[3]], ["verify"]):
        done = weir("registry", *words, "--registry", file)
        assert done.code == 5
        assert "newer weir" in done.err and "version 2" in done.err
    assert file.read_bytes() == before


def test_a_database_of_another_program_is_refused_and_left_alone(
    weir: Weir, tmp_path: Path, fingerprints: list[Path]
) -> None:
    file = tmp_path / "places.sqlite"
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE bookmark (address TEXT)")
    before = file.read_bytes()

    done = weir("registry", "add", fingerprints[0], "--registry", file)

    assert done.code == 5
    assert "another program" in done.err
    assert file.read_bytes() == before


def test_a_folder_is_no_registry(weir: Weir, tmp_path: Path) -> None:
    done = weir("registry", "list", "--registry", tmp_path)

    assert done.code == 5
    assert done.err.startswith("weir: ")


@pytest.fixture
def closed(file: Path, fingerprints: list[Path]) -> Iterator[Path]:
    """The registry in a folder that whoever runs weir can read and not write."""
    place = Path(tempfile.mkdtemp(prefix="weir-closed-"))
    kept = place / "kept"
    kept.mkdir()
    shutil.copy(file, kept / "registry.db")
    shutil.copy(fingerprints[0], place / "model.weirfp")
    shutil.copy(WEIR, place / "weir")
    (place / "scratch").mkdir()
    (place / "scratch").chmod(0o777)
    for path in (place, kept, place / "weir"):
        path.chmod(0o555)
    for path in (kept / "registry.db", place / "model.weirfp"):
        path.chmod(0o444)
    yield kept / "registry.db"
    for path in (place, kept):
        path.chmod(0o755)
    shutil.rmtree(place)


def as_nobody() -> None:
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def run_as_nobody(closed: Path, *words: object, **env: str) -> Result:
    """The superuser may write everywhere, and its checkout may be closed to others."""
    place = closed.parent.parent
    done = subprocess.run([place / "weir", *map(str, words), "--registry", closed], capture_output=True, text=True,
                          timeout=120, env=environment(**env), cwd=place, preexec_fn=as_nobody, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


def test_a_registry_that_can_only_be_read_is_read(closed: Path) -> None:
    listed = run_as_nobody(closed, "registry", "list")
    shown = run_as_nobody(closed, "registry", "show", "#1")
    added = run_as_nobody(closed, "registry", "add", "model.weirfp", "--name", "x")

    assert (listed.code, listed.err) == (0, "")
    assert listed.out.startswith("2 models")
    assert (shown.code, shown.err) == (0, "")
    assert added.code == 5
    assert "registry.db" in added.err and "can only be read" in added.err


def test_a_registry_that_can_only_be_read_is_searched(closed: Path) -> None:
    """Its search index is made where temporary files go, and is gone afterwards."""
    scratch = closed.parent.parent / "scratch"

    done = run_as_nobody(closed, "trace", "model.weirfp", "--json", TMPDIR=str(scratch))

    assert (done.code, done.err) == (0, "")
    assert done.json()["searched"]["entries"] >= 2
    assert list(scratch.iterdir()) == []
    assert [path.name for path in closed.parent.iterdir()] == ["registry.db"]
