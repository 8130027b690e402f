"""`caebench run NAME`, `-h`, `--version`, and names of verbs that are nearly right."""

import pytest

import caebench

SUITE = """
pretrain = { recipe = "random" }
columns.knn = { header = "k-NN", eval = "knn" }
rows = [{ label = "floor" }]
"""


@pytest.mark.parametrize(
    "words", [("run", "mine"), ("run", "suite", "mine"), ("run", "--scale", "nano", "mine"), ("run", "./mine.toml")]
)
def test_a_suite_runs_by_its_name(desk, monkeypatch, words):
    (desk.home / "mine.toml").write_text(SUITE)
    monkeypatch.chdir(desk.home)
    found = desk(*words, "--dry-run")
    assert found.status == 0 and found.out.endswith(
        "3 jobs would run on this machine, at most 2 at once. Nothing ran.\n"
    )


def test_a_job_still_runs_by_its_id(desk):
    found = desk("run", "job", "ffffffffff")
    assert found.status == 2 and "no job has this id" in found.error


def test_a_name_that_is_no_suite_is_told_with_its_neighbour(desk):
    found = desk("run", "quikstart")
    assert found.status == 2
    assert found.error.startswith("error: suite 'quikstart': not found. Did you mean 'quickstart'? Known: ")


@pytest.mark.parametrize(
    ("words", "meant"),
    [(("plam", "quickstart"), "'plan'"), (("suite", "check"), "'suites'"), (("ckpt", "imprt", "x.pth"), "'import'")],
)
def test_a_verb_that_is_nearly_right_is_suggested(desk, words, meant):
    found = desk(*words)
    assert found.status == 2 and f"Did you mean {meant}" in " ".join(found.error.split())


@pytest.mark.parametrize("words", [(), ("run",), ("plan",), ("ckpt", "import")])
def test_h_is_short_for_help(desk, words):
    assert desk(*words, "-h") == desk(*words, "--help") and "Usage: caebench" in desk(*words, "-h").out


def test_the_version_is_printed(desk):
    assert desk("--version") == (0, f"caebench {caebench.__version__}\n", "")
