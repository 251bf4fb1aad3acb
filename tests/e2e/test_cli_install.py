# SPDX-License-Identifier: Apache-2.0
"""The installed copy: every file is there, and a program can be built against it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, environment
from models import llama_tensors, write_folder

BUILD = Path(os.environ.get("WEIR_BUILD", ROOT / "build"))
COMPILER = shutil.which("gcc") or "cc"


def output_of(*command: object, **env: str) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False,
                          env=environment(**env))
    assert done.returncode == 0, done.stderr
    return done.stdout


def option(name: str) -> str:
    options = json.loads(output_of("meson", "introspect", "--buildoptions", BUILD))
    return next(str(entry["value"]) for entry in options if entry["name"] == name)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that stands for /, with weir installed below its prefix."""
    if option("b_sanitize") != "none":
        pytest.skip("a library with sanitizers is not for installing")
    stage = tmp_path_factory.mktemp("stage")
    output_of("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", stage)
    return stage


def under_prefix(stage: Path, name: str) -> Path:
    return stage / option("prefix").lstrip("/") / name


@pytest.mark.parametrize(
    "name",
    ["bin/weir", "include/weir/weir.h", "share/man/man1/weir-diff.1", "share/man/man7/weir-exit-codes.7",
     "share/bash-completion/completions/weir", "share/zsh/site-functions/_weir",
     "share/fish/vendor_completions.d/weir.fish", "share/weir/schema/weir.error-1.json"],
)
def test_everything_is_installed(stage: Path, name: str) -> None:
    if "/man/" in name and not shutil.which("scdoc"):
        pytest.skip("no scdoc")

    assert under_prefix(stage, name).stat().st_size > 0


def flags(stage: Path, *words: str) -> list[str]:
    folder = under_prefix(stage, option("libdir")) / "pkgconfig"
    text = output_of("pkg-config", *words, "weir", PKG_CONFIG_PATH=str(folder),
                     PKG_CONFIG_SYSROOT_DIR=str(stage))
    # What is a system folder on this machine is dropped by pkg-config, but it is not one in the stage.
    include = under_prefix(stage, "include")
    return [f"-I{include}", *shlex.split(text)]


@pytest.mark.parametrize("kind", ["shared", "static"])
def test_a_program_builds_against_it_and_runs(stage: Path, tmp_path: Path, kind: str) -> None:
    program = tmp_path / "program"
    libraries = under_prefix(stage, option("libdir"))
    words = ["--cflags", "--libs"] + (["--static"] if kind == "static" else [])
    link = flags(stage, *words)
    if kind == "static":
        link = [str(libraries / "libweir.a") if word == "-lweir" else word for word in link]

    output_of(COMPILER, "-std=c17", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
              ROOT / "tests" / "e2e" / "installed_program.c", "-o", program, f"-L{libraries}", *link)
    model = write_folder(tmp_path / "model", llama_tensors())
    said = output_of(program, model, LD_LIBRARY_PATH=str(libraries))

    assert said.split()[1] == "clean"
    assert ("libweir.so" in output_of("ldd", program, LD_LIBRARY_PATH=str(libraries))) == (kind == "shared")


def test_the_static_library_shows_only_the_public_api(stage: Path) -> None:
    archive = under_prefix(stage, option("libdir")) / "libweir.a"

    symbols = output_of("nm", "--defined-only", "--extern-only", "--format=posix", archive)
    names = [line.split()[0] for line in symbols.splitlines() if len(line.split()) > 1]

    assert [name for name in names if not name.startswith("weir_")] == []
