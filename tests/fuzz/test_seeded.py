"""A seeded part of the fuzzer in every test run, and every input that was a finding once."""

import pytest

from tests.fuzz.campaign import Campaign, Finding, show
from tests.fuzz.case import Case
from tests.fuzz.kinds.registry import FOUND, KINDS
from tests.fuzz.worker import case_of

COUNTS = {"suite": 60, "site": 60, "store": 80, "checkpoints": 60, "images": 120, "annotations": 100, "arguments": 100}


def sound(findings: list[Finding]) -> bool:
    show(findings)
    return not findings


@pytest.mark.parametrize("kind", KINDS)
def test_no_input_of_a_kind_is_a_finding(kind, tmp_path):
    result = Campaign(kind, 0, COUNTS[kind], 1, tmp_path).run()
    assert result.inputs == COUNTS[kind]
    assert sound(result.findings), "`make fuzz` runs more of them; `python -m tests.fuzz --again FILE` one"


@pytest.mark.parametrize("kind", [name for name, found in FOUND.items() if found.listed])
def test_what_was_a_finding_once_is_none_any_more(kind, tmp_path):
    count = len(FOUND[kind].listed)
    result = Campaign(kind, 0, count, 1, tmp_path).run()
    assert result.inputs == count and sound(result.findings)


@pytest.mark.parametrize("kind", KINDS)
def test_an_input_depends_on_its_kind_seed_and_number_alone(kind, tmp_path):
    first = KINDS[kind].base(tmp_path / "a") if (tmp_path / "a").mkdir() is None else {}
    second = KINDS[kind].base(tmp_path / "b") if (tmp_path / "b").mkdir() is None else {}
    assert dict(first) == dict(second)
    drawn: list[list[Case]] = [[case_of(KINDS[kind], 7, number, base) for number in (5, 3)] for base in (first, second)]
    assert drawn[0] == drawn[1] and drawn[0][0] != drawn[0][1]
