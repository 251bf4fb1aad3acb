# SPDX-License-Identifier: Apache-2.0
"""What every end-to-end test uses: the built program, and small models made on the spot."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource

ROOT = Path(__file__).resolve().parents[2]
WEIR = Path(os.environ.get("WEIR_PROGRAM", ROOT / "build" / "weir"))
SCHEMAS = ROOT / "share" / "schema"


def environment(**changes: str) -> dict[str, str]:
    """A plain environment; a sanitizer's leak checker cannot start inside a restricted process."""
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "TMPDIR")}
    sanitizers = {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "halt_on_error=1"}
    return kept | sanitizers | {"LC_ALL": "C.UTF-8", "TERM": "xterm"} | changes


@dataclass
class Result:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Weir = Callable[..., Result]


@pytest.fixture
def weir() -> Weir:
    """Run weir to its end: weir("inspect", path, env={"NO_COLOR": "1"})."""

    def call(*words: object, env: dict[str, str] | None = None, **more: Any) -> Result:
        done = subprocess.run([WEIR, *map(str, words)], capture_output=True, text=True, timeout=120,
                              env=environment(**(env or {})), check=False, **more)
        return Result(done.returncode, done.stdout, done.stderr)

    return call


def schema_registry() -> Registry[Any]:
    """The published schemas, which name each other by file name."""
    files = {path.name: json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")}
    return Registry().with_resources(
        (name, Resource.from_contents(schema)) for name, schema in files.items())


def check_schema(value: Any) -> None:
    """The value says its schema, and keeps to it."""
    name = value["schema"].replace("/", "-") + ".json"
    schema = json.loads((SCHEMAS / name).read_text())
    jsonschema.Draft202012Validator(schema, registry=schema_registry()).validate(value)
