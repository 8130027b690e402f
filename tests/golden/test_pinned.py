"""No job id and no default moves unnoticed."""

import tomllib

from tests.golden.update import HERE, Content, defaults, identities

HOW = """
Meant? Run `.venv/bin/python -m tests.golden.update`, and end the commit's message with a line `Identity: ...` that says
what moved and why. Not meant? Then jobs that are finished somewhere would be computed again: give a new field a default
that means the old behaviour, or a new behaviour a value of its own."""


def assert_unchanged(name: str, today: Content, what: str) -> None:
    pinned = tomllib.loads((HERE / name).read_text(encoding="utf8"))
    old = {(section, key): value for section, values in pinned.items() for key, value in values.items()}
    new = {(section, key): value for section, values in today.items() for key, value in values.items()}
    lines = [
        f"  {section}, {key}: {old.get((section, key), 'absent')} -> {new.get((section, key), 'absent')}"
        for section, key in dict.fromkeys([*old, *new])
        if old.get((section, key)) != new.get((section, key))
    ]
    assert not lines, f"{len(lines)} {what} changed against tests/golden/{name}:\n" + "\n".join(lines[:40]) + HOW


def test_no_cell_of_a_suite_has_another_job_than_before():
    assert_unchanged("identity.toml", identities(), "job ids at paper scale")


def test_no_default_has_another_value_than_before():
    assert_unchanged("defaults.toml", defaults(), "defaults")


def test_the_cells_of_a_suite_that_are_to_differ_do():
    """Two rows of one column never share a job."""
    for suite, cells in identities().items():
        columns: dict[str, list[str]] = {}
        for place, job in cells.items():
            columns.setdefault(place.rsplit(" | ", 1)[1], []).append(job)
        assert all(len(set(jobs)) == len(jobs) for jobs in columns.values()), suite
