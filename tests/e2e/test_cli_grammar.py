# SPDX-License-Identifier: Apache-2.0
"""The words of the command line, and what is said about wrong ones."""

from __future__ import annotations

import pytest
from conftest import Weir

VERBS = ["inspect", "diff", "assess", "doctor", "help"]


def test_version_is_one_line(weir: Weir) -> None:
    done = weir("--version")

    assert done.code == 0
    assert done.out.startswith("weir ") and done.out.count("\n") == 1


def test_help_goes_to_stdout_and_no_verb_is_a_usage_error(weir: Weir) -> None:
    assert weir("help").code == 0
    assert weir("--help").out == weir("help").out

    done = weir()

    assert (done.code, done.out) == (2, "")
    assert "Usage:" in done.err


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help(weir: Weir, verb: str) -> None:
    done = weir(verb, "--help")

    assert done.code == 0
    assert f"Usage: weir {verb}" in done.out
    assert done.err == ""


@pytest.mark.parametrize("topic", ["exit-codes", "formats", "evidence"])
def test_each_topic_has_help(weir: Weir, topic: str) -> None:
    assert weir("help", topic).out.startswith(topic + ":")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["inspct", "x"], "did you mean 'inspect'?"),
        (["zzzzzz"], "no verb 'zzzzzz'"),
        (["probe", "x"], "'probe' is not in this version"),
        (["--json", "inspect"], "options follow the verb"),
        (["inspect"], "inspect needs MODEL..."),
        (["diff", "a"], "diff needs BASE MODEL"),
        (["diff", "a", "b", "c"], "one argument too many: 'c'"),
        (["doctor", "a"], "one argument too many: 'a'"),
        (["inspect", "a", "--frobnicate"], "--frobnicate: no such option"),
        (["inspect", "a", "--base", "b"], "--base: no such option"),
        (["diff", "a", "b", "--jobs", "0"], "--jobs takes a number"),
        (["diff", "a", "b", "--jobs", "many"], "--jobs takes a number"),
        (["diff", "a", "b", "--jobs"], "--jobs"),
        (["assess", "a", "--fail-on", "5"], "--fail-on takes a tier from 0 to 4"),
        (["inspect", "a", "-o", "yaml"], "no output format 'yaml'"),
        (["inspect", "a", "-o", "json="], "no file name"),
        (["inspect", "a", "-o", "json", "-o", "table"], "only one output"),
        (["inspect", "a", "-q", "-v"], "exclude each other"),
        (["inspect", "a", "b", "--name", "n"], "--name is for one model"),
        (["help", "nonsense"], "no verb or topic 'nonsense'"),
    ],
)
def test_a_wrong_command_line_is_explained(weir: Weir, words: list[str], said: str) -> None:
    done = weir(*words)

    assert done.code == 2
    assert said in done.err
    assert "see: weir" in done.err
    assert done.out == ""


def test_options_may_stand_anywhere(weir: Weir) -> None:
    before = weir("inspect", "--json", "/nowhere")
    after = weir("inspect", "/nowhere", "--json")

    assert before == after


def test_two_dashes_end_the_options(weir: Weir) -> None:
    done = weir("inspect", "--", "--json")

    assert done.code == 5
    assert "--json" in done.err


def test_an_unknown_simd_level_is_a_usage_error(weir: Weir) -> None:
    done = weir("doctor", env={"WEIR_SIMD": "mmx"})

    assert done.code == 2
    assert "WEIR_SIMD" in done.err
