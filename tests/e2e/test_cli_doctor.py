# SPDX-License-Identifier: Apache-2.0
"""What the machine supports."""

from __future__ import annotations

import os

from conftest import Weir, check_schema


def test_doctor_speaks_to_people_and_programs(weir: Weir) -> None:
    human = weir("doctor")
    machine = weir("doctor", "--json")

    assert human.code == machine.code == 0
    assert human.out != ""
    check_schema(machine.json())


def test_doctor_names_no_host(weir: Weir) -> None:
    assert os.uname().nodename not in weir("doctor", "--json").out
