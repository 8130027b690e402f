"""Verbs that look succeed and write nothing: no file in the folder where they are asked, in the store, or next to the
sites. With `--json`: test_json.py.
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
        ("plan", "quickstart", "--scale", "lab", "--seeds", "0,1"),
        ("status",),
        ("status", "quickstart"),
        ("status", "{job}"),
        ("why", "{job}"),
        ("why", "quickstart/CAE, pixels/linear"),
        ("diff", "cae", "official"),
        ("diff", "linear_probe", "linear_probe"),
        ("doctor",),
        *(("report", "--suite", "quickstart", "--format", name) for name in ("rich", "md", "tex")),
        ("report", "--all", "--format", "csv"),
        ("report", "--table", "5", "--missing"),
        ("report", "--all", "--json", "--strict"),
        ("data", "check", "imagenet1k", "--root", "{data}"),
        ("assets", "list"),
        ("ckpt", "families"),
        ("ckpt", "inspect", str(GOLDEN / "mae.pth")),
        ("ckpt", "verify", "{job}", "--data", "synthetic"),
    ],
    ids=" ".join,
)
def test_a_verb_that_looks_succeeds_and_writes_nothing(quickstart, bench, arguments):
    job, data = quickstart.job("pretrain", "cae-pixels"), quickstart.job("synthetic", "imagenet1k")
    names = {"job": job.id, "data": str(bench.folder(data) / "world" / "imagenet")}
    before = files(bench.home, bench.store, GOLDEN)
    command = bench.run(*(argument.format(**names) for argument in arguments))
    # tiny data is not ImageNet, and nobody has published a number of it
    status = 1 if arguments[0] == "data" or arguments[:2] == ("ckpt", "verify") else 0
    assert command.process.exitcode == status and command.output.strip(), command.output
    after = files(bench.home, bench.store, GOLDEN)
    assert {path: stat for path, stat in after.items() if before.get(path, "new") != stat} == {}
    assert before.keys() == after.keys()
