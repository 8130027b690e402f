"""`caebench status --watch`: it looks again until nothing runs or waits, and then ends."""

import sys
from types import SimpleNamespace

import pytest

from caebench.cli import main, status
from caebench.store.lease import acquire, release
from tests.helpers import own_copy


@pytest.fixture
def job(quickstart, bench):
    """A job that this process runs."""
    job = quickstart.job("knn", "random")
    folder = own_copy(bench, job)
    (folder / "result.json").rename(folder / "kept.json")
    acquire(folder)
    return job


@pytest.fixture
def watch(bench, job, monkeypatch, capsys):
    """Watches something, while in each pause one of some things happens: exit status, output, how long it paused."""
    monkeypatch.setenv("HOME", str(bench.home))
    monkeypatch.setenv("CAEBENCH_STORE", str(bench.store))

    def look(*arguments, happenings):
        pauses, left = [], iter(happenings)

        def sleep(seconds):
            pauses.append(seconds)
            next(left)(bench.folder(job))

        monkeypatch.setattr(status, "time", SimpleNamespace(sleep=sleep))
        monkeypatch.setattr(sys, "argv", ["caebench", "status", *arguments, "--watch"])
        with pytest.raises(SystemExit) as end:
            main()
        assert next(left, None) is None, "it has looked until all was over"
        return end.value.code or 0, capsys.readouterr().out, pauses

    return look


def nothing(folder):
    pass


def finish(folder):
    (folder / "kept.json").rename(folder / "result.json")
    release(folder)


def fail(folder):
    (folder / "failure.json").write_text('{"error": "ValueError: no"}', encoding="utf8")
    release(folder)


def test_where_there_is_no_terminal_it_prints_a_line_when_something_changes(watch, job):
    found = watch(job.id, happenings=(nothing, nothing, finish))
    assert found == (0, "1 running\n1 done\n", [status.EVERY] * 3)


def test_a_suite_is_watched_to_its_last_job(watch, quickstart, monkeypatch, tiny):
    import caebench.planning.scale as scales

    monkeypatch.setitem(scales.SCALES, "nano", tiny)
    end, output, _ = watch("quickstart", happenings=(nothing, fail))
    others = len(quickstart.plan.jobs) - 1
    assert (end, output) == (0, f"{others} done, 1 running\n{others} done, 1 failed\n")


def test_on_a_terminal_it_is_a_table_that_ends_with_the_last_state(watch, job, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    end, output, pauses = watch(job.id, happenings=(finish,))
    assert end == 0 and len(pauses) == 1
    first, _, last = output.partition("1 running")
    assert "1 done" in last and "1 done" not in first and output.count(job.name.partition("/")[0]) >= 2


def test_what_is_over_is_shown_once(watch, bench, job):
    finish(bench.folder(job))
    assert watch(job.id, happenings=()) == (0, "1 done\n", [])
