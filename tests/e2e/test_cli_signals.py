# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C, SIGTERM, a failed check; progress on a terminal. Long work is a sparse file of 1 TiB."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import WEIR, environment
from models import write_sparse


def wait_for_handlers(process: subprocess.Popen[bytes]) -> None:
    """Until the program has installed its handlers: SIGTERM is in the mask of caught signals."""
    for _ in range(3000):
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        if caught >> (signal.SIGTERM - 1) & 1 and caught >> (signal.SIGABRT - 1) & 1:
            return
        time.sleep(0.01)
    pytest.fail("no handlers")


def start(*words: object, **more: object) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([WEIR, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=environment(), **more)
    wait_for_handlers(process)
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("verb", ["inspect", "diff"])
def test_a_signal_stops_the_work_and_cleans_up(tmp_path: Path, number: int, code: int, verb: str) -> None:
    model = write_sparse(tmp_path / "long.safetensors")
    out = tmp_path / "out"
    out.mkdir()
    words = [model, "--digest"] if verb == "inspect" else [model, model]

    process = start(verb, *words, "-o", f"json={out / 'report.json'}")
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)

    assert process.returncode == code
    assert (stdout, stderr) == (b"", b"")
    assert os.listdir(out) == []


def test_a_failed_check_is_called_a_bug(tmp_path: Path) -> None:
    process = start("inspect", "--digest", write_sparse(tmp_path / "long.safetensors"))

    process.send_signal(signal.SIGABRT)
    stderr = process.communicate(timeout=60)[1]

    assert process.returncode == 70
    assert b"bug in weir" in stderr


def test_long_work_shows_its_throughput_on_a_terminal(tmp_path: Path) -> None:
    model = write_sparse(tmp_path / "long.safetensors")
    master, slave = pty.openpty()
    process = subprocess.Popen([WEIR, "inspect", "--digest", model], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=slave, env=environment())
    os.close(slave)

    shown = b""
    while b"MB/s" not in shown:
        shown += os.read(master, 4096)
    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=60) == 130
    os.close(master)
