"""The oracle catches each fault that is planted, as what it is, and nothing in a sound answer."""

import sys
from pathlib import Path

import pytest

from tests.fuzz.campaign import Campaign, Finding, save, table
from tests.fuzz.case import Case, Special
from tests.fuzz.kinds.planted import FAULTS, Planted, hang
from tests.fuzz.oracle import Limits
from tests.fuzz.processes import Processes

LIMITS = Limits(seconds=1.5, memory=2**28)  # smaller ones, so that a planted fault costs little


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finding]:
    """The findings among the planted faults, by their names."""
    folder = tmp_path_factory.mktemp("planted")
    result = Campaign("planted", 0, len(FAULTS), 1, folder, limits=LIMITS).run()
    assert result.inputs == len(FAULTS)
    return {Planted.listed[one.number].arguments[1]: one for one in result.findings}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_caught_as_what_it_is(fault, planted):
    found = planted.get(fault.__name__)
    columns = {one.column for one in found.faults} if found else set()
    assert columns == FAULTS[fault], found


def test_nothing_is_written_outside_a_place(planted):
    assert not Path("/tmp/caebench-fuzz-planted").exists()


def test_a_finding_is_saved_and_counted(planted, tmp_path):
    findings = list(planted.values())
    save(findings, tmp_path)
    saved = [Case.read(path).arguments for path in tmp_path.glob("planted-0-*.json")]
    assert sorted(saved) == sorted(one.case.arguments for one in findings)


def test_the_table_counts_an_input_once_in_each_column(planted, tmp_path):
    result = Campaign("planted", 0, 0, 0, tmp_path).result
    result.findings = [planted[hang.__name__]]
    assert table([result]).splitlines()[1].split() == ["planted", "0", "0", "1", *"000000", "0"]


SCRIPT = """
import os, sys
print(os.environ["HF_TOKEN"] + chr(27))
open("left.txt", "w").write("x")
sys.exit(1)
"""


def test_a_process_is_judged_by_the_same_oracle(tmp_path):
    processes = Processes("suite", tmp_path)
    sound, wrong = Case("suite", ("plan", "mine.toml")), Case("suite", ("ls",))
    assert processes.findings(0, [(0, sound)]) == []
    processes.command = (sys.executable, "-c", SCRIPT)
    (found,) = processes.findings(0, [(1, wrong)])
    columns = {fault.column for fault in found.faults}
    assert columns == {"secrets", "control characters", "files outside", "wrong exit codes"}


def test_a_case_is_the_same_after_it_was_saved(tmp_path):
    files = {
        "work/a": b"\xff\x00",
        "work/b": b"plain",
        "work/c": Special("link", "/dev/zero"),
        "work/d": Special("pipe"),
    }
    case = Case("suite", ("plan", "\u202e"), files)
    (tmp_path / "a.json").write_text(case.as_json(seed=1))
    assert Case.read(tmp_path / "a.json") == case
