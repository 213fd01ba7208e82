"""Memory of the real program after many large answers."""

from pathlib import Path

import pytest

from tests.endurance.memory import BAD, MEBIBYTE, fed, new_names
from tests.support.harness.stand_in import CIB, HEALTHY

pytestmark = pytest.mark.endurance


@pytest.mark.parametrize("kind", BAD)
def test_bad_answers_leave_memory_unchanged(kind: str, tmp_path: Path) -> None:
    with fed(tmp_path) as program:
        start = program.resident()
        program.gets(BAD[kind](16 * MEBIBYTE))
        found = []
        for _ in range(5):
            program.polls(15)
            found.append(program.resident())
        program.gets(HEALTHY.read_bytes())
        program.polls(20)
        end = program.resident()
        print(f"{kind}: {start:.0f} MB, {[round(resident) for resident in found]}, {end:.0f} MB")
        assert program.outcomes() == {"success", "malformed"}
        assert max(found) - min(found) < 24
        assert end < start + 16


@pytest.mark.parametrize("command", ["crm_mon", "cibadmin"])
def test_new_names_in_each_answer_do_not_accumulate(command: str, tmp_path: Path) -> None:
    """libxml2 keeps every name until the thread that parsed it ends."""
    with fed(tmp_path) as program:
        start = program.resident()
        found = []
        for number in range(45):
            program.gets(new_names(number, command), command)
            program.polls(1)
            if number % 3 == 2:
                found.append(program.resident())
        well = {"crm_mon": HEALTHY, "cibadmin": CIB}
        program.gets(well[command].read_bytes(), command)
        program.gets(BAD["cut off"](16 * MEBIBYTE))
        program.polls(10)  # into the next thread
        program.gets(HEALTHY.read_bytes())
        program.polls(20)
        end = program.resident()
        print(f"{command}: {start:.0f} MB, {[round(resident) for resident in found]}, {end:.0f} MB")
        assert max(found[10:]) < max(found[:10]) + 24
        assert max(found) < start + 100
        assert end < start + 16
