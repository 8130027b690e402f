"""`--json` of every verb: what is printed has the keys and values that tests/schemas say, no more and no fewer."""

import hashlib
import sys
from pathlib import Path

import pytest
import typer
from typer.main import get_command

import caebench.planning.scale as scales
from caebench.cli import app, main
from tests.helpers import files, own_copy
from tests.schemas import SCHEMAS

GOLDEN = Path(__file__).parents[1] / "golden" / "encoders"
SPEED = ("--variant", "nano_s", "--batch", "2", "--warm-up", "1", "--repeats", "1")
LONG = ("bench pretrain", "bench pass", "bench probe", "bench ablate")  # seconds each
WRITING = ("ckpt import", "ckpt export", "assets fetch", "assets verify", "bench calibrate")
ON_SLURM = {"site check"}  # tests/slurm/test_site.py
CALLS = {
    "ls": [()],
    "plan": [("quickstart",), ("all", "--scale", "paper", "--seeds", "0,1")],
    "status": [(), ("quickstart",), ("{failed}",)],
    "why": [("{job}",), ("{failed}",), ("quickstart/CAE, pixels/linear",)],
    "diff": [("cae", "official"), ("quickstart/CAE, pixels", "cae"), ("knn", "knn")],
    "doctor": [()],
    "store": [()],
    "check": [("quickstart",), ("food101",)],
    "suites check": [("quickstart", "ablation-depth")],
    "report": [("--suite", "quickstart"), ("--all",), ("--all", "--missing")],
    "data check": [("imagenet1k", "--root", "{data}"), ("ade20k", "--root", "{data}")],
    "assets list": [(), ("--manifest", "{manifest}", "--folder", "{assets}")],
    "assets fetch": [("--all", "--manifest", "{manifest}", "--folder", "{assets}")],
    "assets verify": [("--manifest", "{manifest}", "--folder", "{assets}")],
    "ckpt inspect": [(str(GOLDEN / "mae.pth"),), (str(GOLDEN / "beit.pth"), "--num-heads", "3")],
    "ckpt families": [()],
    "ckpt import": [(str(GOLDEN / "mae.pth"), "--num-heads", "3")],
    "ckpt verify": [("{job}", "--data", "synthetic"), ("{job}",)],
    "ckpt export": [("{job}", "--to", "timm", "--output", "{out}")],
    "bench pretrain": [(*SPEED, "--device", "cpu")],
    "bench probe": [(*SPEED, "--device", "cpu")],
    "bench pass": [("--variant", "nano_s", "--batch", "10", "--warm-up", "1", "--repeats", "1", "--device", "cpu")],
    "bench data": [SPEED[2:]],
    "bench plan": [("--jobs", "1", "--repeats", "1")],
    "bench ablate": [(*SPEED, "--device", "cpu")],
    "bench calibrate": [("--site", "eager", *SPEED)],
}
MANIFEST = """
[here]
file = "here.bin"
url = "http://127.0.0.1:9/here.bin"
sha256 = "{sha256}"
licence = "none"
purpose = "a test"
source = "this test"
[gone]
file = "gone.bin"
url = "http://127.0.0.1:9/gone.bin"
licence = "none"
purpose = "a test"
source = "this test"
"""


def verbs(command, name=""):
    """The commands below one that have `--json`, by their words."""
    if hasattr(command, "commands"):
        return {verb for key, below in command.commands.items() for verb in verbs(below, f"{name} {key}")}
    return {name.strip()} if any("--json" in parameter.opts for parameter in command.params) else set()


def test_every_verb_that_prints_json_has_a_schema_and_is_called_here():
    known = verbs(get_command(app))
    assert known == set(SCHEMAS) == CALLS.keys() | ON_SLURM and len(known) > 20


@pytest.fixture
def names(quickstart, bench):
    """What the arguments name: a job, one that failed, data, a folder of assets with one file of two."""
    failed = own_copy(bench, quickstart.job("knn", "random"))
    (failed / "result.json").unlink()
    (failed / "failure.json").write_text('{"error": "ValueError: no", "trace": "ValueError: no"}', encoding="utf8")
    folder = bench.home / "assets"
    folder.mkdir()
    (folder / "here.bin").write_bytes(b"here")
    manifest = bench.home / "manifest.toml"
    manifest.write_text(MANIFEST.format(sha256=hashlib.sha256(b"here").hexdigest()), encoding="utf8")
    data = bench.folder(quickstart.job("synthetic", "imagenet1k")) / "world" / "imagenet"
    return {
        "job": quickstart.job("pretrain", "cae-pixels").id,
        "failed": quickstart.job("knn", "random").id,
        "data": str(data),
        "assets": str(folder),
        "manifest": str(manifest),
        "out": str(bench.home / "out.pth"),
    }


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        pytest.param(verb, given, marks=pytest.mark.slow if verb in LONG else ())
        for verb, calls in CALLS.items()
        for given in calls
    ],
    ids=str,
)
def test_what_a_verb_prints_is_its_schema(bench, names, verb, arguments):
    before = files(bench.home, bench.store)
    command = bench.run(*verb.split(), *(argument.format(**names) for argument in arguments), "--json")
    assert command.process.exitcode in (0, 1, 2) and "error: " not in command.output, command.output
    assert SCHEMAS[verb].validate_json(command.output) not in ([], {})
    if verb not in WRITING:
        assert files(bench.home, bench.store) == before


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("plan", ("quickstart",)),
        ("status", ("quickstart",)),
        ("report", ("--suite", "quickstart")),
        ("why", ("quickstart/CAE, pixels/linear",)),
    ],
    ids=str,
)
def test_numbers_are_of_the_schema_too(bench, tiny, monkeypatch, capsys, verb, arguments):
    """In this process, where the finished quickstart is the suite's."""
    monkeypatch.setitem(scales.SCALES, "nano", tiny)
    monkeypatch.setenv("HOME", str(bench.home))
    monkeypatch.setattr(sys, "argv", ["caebench", verb, *arguments, "--store", str(bench.store), "--json"])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    printed = capsys.readouterr().out
    assert SCHEMAS[verb].validate_json(printed) and '"done"' in printed


def test_a_schema_refuses_a_key_more_and_a_key_less():
    good = {"what": "python", "state": "ok", "found": "3.11", "do": ""}
    assert SCHEMAS["doctor"].validate_python([good]) == [good]
    for bad in ({**good, "more": 1}, {"what": "python", "state": "ok"}, {**good, "state": "fine"}):
        with pytest.raises(ValueError, match=r"Field required|Extra inputs|Input should be"):
            SCHEMAS["doctor"].validate_python([bad])


def test_a_new_verb_without_a_schema_is_found():
    other = typer.Typer()
    other.command("plain")(lambda: None)

    @other.command("new")
    def new(json: bool = typer.Option(False, "--json")) -> None: ...

    assert verbs(get_command(other)) == {"new"}
