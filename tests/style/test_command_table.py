# SPDX-License-Identifier: Apache-2.0
"""Help, man pages and completions agree: each verb has the same options everywhere.

usage: test_command_table.py WEIR MAN_FOLDER COMPLETION_FOLDER
"""

from __future__ import annotations

import re
import subprocess
import sys
import unittest
from pathlib import Path

WEIR, MAN, COMPLETIONS = (Path(word).resolve() for word in sys.argv[1:4])


def help_text(*words: str) -> str:
    return subprocess.run([WEIR, *words], capture_output=True, text=True, check=True).stdout


def verbs() -> list[str]:
    listed = help_text("help").partition("Verbs:\n")[2].partition("\n\n")[0]
    return [line.split()[0] for line in listed.splitlines()]


def help_options(verb: str) -> set[str]:
    section = help_text(verb, "--help").partition("\nOptions:\n")[2].partition("\nExit codes:")[0]
    heads = re.findall(r"^  (-\S.*?)(?:  |$)", section, re.MULTILINE)
    return {word for head in heads for word in re.findall(r"--?[a-z][a-z-]*", head)}


def man_options(verb: str) -> set[str]:
    page = (MAN / f"weir-{verb}.1.filled.scd").read_text()
    section = page.partition("# OPTIONS\n")[2].partition("\n# ")[0]
    heads = [line for line in section.splitlines() if line.startswith("*-")]
    return {word for head in heads for word in re.findall(r"\*(--?[a-z][a-z-]*)\*", head)}


def bash_options(verb: str) -> set[str]:
    text = (COMPLETIONS / "weir").read_text()
    return set(re.search(rf"^    {verb}\) options='([^']*)'", text, re.MULTILINE)[1].split())


def zsh_options(verb: str) -> set[str]:
    text = (COMPLETIONS / "_weir").read_text()
    section = text.partition(f"        {verb}) _arguments")[2].partition(";;")[0]
    return set(re.findall(r"^ +'\*?(--?[a-z][a-z-]*)\[", section, re.MULTILINE))


def fish_options(verb: str) -> set[str]:
    found = set()
    for line in (COMPLETIONS / "weir.fish").read_text().splitlines():
        if f"'__fish_seen_subcommand_from {verb}'" in line:
            head = line.partition(" -d ")[0]
            found |= {"--" + name for name in re.findall(r" -l ([a-z-]+)", head)}
            found |= {"-" + letter for letter in re.findall(r" -s ([a-z])\b", head)}
    return found


class CommandTable(unittest.TestCase):
    def test_every_verb_has_options_in_help(self) -> None:
        for verb in verbs():
            with self.subTest(verb):
                self.assertIn("--help", help_options(verb))

    def test_man_pages_have_the_options_of_help(self) -> None:
        for verb in verbs():
            if verb != "help":  # described in weir(1)
                with self.subTest(verb):
                    self.assertEqual(man_options(verb), help_options(verb))

    def test_completions_have_the_options_of_help(self) -> None:
        for shell in (bash_options, zsh_options, fish_options):
            for verb in verbs():
                with self.subTest(verb=verb, shell=shell.__name__):
                    self.assertEqual(shell(verb), help_options(verb))

    def test_verb_and_help_verb_say_the_same(self) -> None:
        for verb in verbs():
            with self.subTest(verb):
                self.assertEqual(help_text(verb, "--help"), help_text("help", verb))

    def test_the_main_page_names_every_verb(self) -> None:
        page = (MAN / "weir.1.filled.scd").read_text()
        for verb in verbs():
            self.assertIn(f"*weir-{verb}(1)*", page)

    def test_help_lines_fit_a_terminal(self) -> None:
        for words in [("help",), *((verb, "--help") for verb in verbs())]:
            for line in help_text(*words).splitlines():
                self.assertLessEqual(len(line), 80, f"{words}: {line}")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
