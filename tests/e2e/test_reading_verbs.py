"""Verbs that look write nothing: no file in the folder where they are asked, in the store, or next to the sites.

What `caebench bench` measures writes nothing either: test_json.py.
"""

from pathlib import Path

import pytest

from tests.helpers import files

GOLDEN = Path(__file__).parents[1] / "golden" / "encoders"


@pytest.mark.parametrize(
    "arguments",
    [
        ("ls",),
        ("plan", "all", "--scale", "paper"),
        ("status",),
        ("status", "quickstart", "--json"),
        ("status", "{job}"),
        ("why", "{job}"),
        ("why", "quickstart/CAE, pixels/linear"),
        ("diff", "cae", "official"),
        ("doctor",),
        ("report", "--table", "5"),
        ("report", "--all", "--format", "csv"),
        ("report", "--all", "--json", "--strict"),
        ("report", "--table", "5", "--missing"),
        ("data", "check", "imagenet1k", "--root", "{data}"),
        ("assets", "list"),
        ("ckpt", "families"),
        ("ckpt", "inspect", str(GOLDEN / "mae.pth")),
        ("ckpt", "verify", "{job}", "--data", "synthetic"),
        ("bench", "plan", "--jobs", "1", "--repeats", "1"),
    ],
    ids=" ".join,
)
def test_a_verb_that_looks_writes_nothing(quickstart, bench, arguments):
    job, data = quickstart.job("pretrain", "cae-pixels"), quickstart.job("synthetic", "imagenet1k")
    names = {"job": job.id, "data": str(bench.folder(data) / "world" / "imagenet")}
    before = files(bench.home, bench.store, GOLDEN)
    command = bench.run(*(argument.format(**names) for argument in arguments))
    assert not [word for word in ("Traceback", "Usage:", "error: ") if word in command.output], command.output
    assert command.output.strip(), "it has looked, and not stopped at a mistake"
    after = files(bench.home, bench.store, GOLDEN)
    assert {path: stat for path, stat in after.items() if before.get(path, "new") != stat} == {}
    assert before.keys() == after.keys()
