"""What `plan`, `status`, `why` and `report` show of a store that is half done, and of an empty one."""

import json

import pytest

from caebench.cli import options
from caebench.files.layout import RESULT
from caebench.planning.graph import make_plan
from caebench.store.store import Store
from caebench.suites import loading as suites
from tests.golden.fake import fill

SLASHED = """
[source]
title = "T"
[columns."a/b"]
header = "LIN / 1"
eval = "linear_probe"
[columns.knn]
header = "k-NN"
eval = "knn"
[[rows]]
label = "CAE / pixels"
recipe = "cae"
target = "pixels"
[[rows]]
id = "MAE"
label = "MAE,  300"
recipe = "mae"
"""


@pytest.fixture
def half(desk, tiny):
    """A quickstart of which one row's probes are to do; its jobs by name."""
    plan = make_plan(suites.load("quickstart"), tiny, [0])
    fill(Store(desk.store), plan, skip="detection/coco", fail="finetune/sketch")
    return {job.name: job for job in plan.jobs}


@pytest.fixture
def terminal(monkeypatch):
    for name, value in {"FORCE_COLOR": "1", "TERM": "dumb", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)


def rows(text):
    header, *lines = [line.split("\t") for line in text.split("\n\n")[0].splitlines()]
    return [dict(zip(header, line, strict=True)) for line in lines]


@pytest.mark.parametrize("verb", ["plan", "status"])
def test_a_job_has_its_id_row_and_column(desk, half, verb):
    found = {line["job"]: line for line in rows(desk(verb, "quickstart", "--scale", "nano").out)}
    assert set(found) == {job.id for job in half.values()}
    (probe,) = [job for name, job in half.items() if name.startswith("knn/imagenet1k-cae-pixels")]
    assert (found[probe.id]["row"], found[probe.id]["column"]) == ("CAE, pixels", "k-NN")
    places = {(line["row"], line["column"]) for line in found.values()}
    assert {("Random encoder", "pretraining"), ("3 rows", "data: imagenet1k")} <= places


@pytest.mark.parametrize("verb", ["plan", "status"])
def test_what_is_done_is_one_line_on_a_terminal(desk, half, terminal, verb):
    short, long = (desk(verb, "quickstart", "--scale", "nano", *more).out for more in ((), ("--all",)))
    assert "34 jobs" in short and "34 jobs" not in long
    assert short.count("failed") and short.count("\n") < 20 < long.count("\n")


def test_several_seeds_have_a_column(desk):
    found = rows(desk("plan", "quickstart", "--scale", "nano", "--seeds", "0,1").out)
    assert {line["seed"] for line in found} == {"", "0", "1"}


def test_minutes_of_this_machine_stand_where_hours_are_nothing(desk, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    small, large = (desk("plan", "quickstart", "--scale", scale).out for scale in ("nano", "paper"))
    assert {line["about"][-2:] for line in rows(small)} <= {" s", "in"} and "on the cores of this machine" in small
    assert "A100 time" in rows(large)[0] and "A100-80GB hours, estimated" in large


def test_a_long_table_is_cut_and_says_so(desk, half, monkeypatch):
    for module in ("status", "show_plan"):
        monkeypatch.setattr(f"caebench.cli.{module}.MOST_ROWS", 7)
    assert options.MOST_ROWS == 500
    for verb in ("plan", "status"):
        out = desk(verb, "quickstart", "--scale", "nano").out
        assert len(rows(out)) == 7 and "33 more jobs are not shown, `--json` has all" in out


def test_status_alone_says_what_the_store_holds(desk, half):
    out = desk("status").out
    (line,) = [line for line in rows(out) if line["suite"] == "quickstart"]
    assert (line["scale"], line["jobs"], line["done"], line["failed"], line["to do"]) == ("nano", "40", "34", "3", "3")
    assert "37 jobs: 34 done, 3 failed. Disk: " in out and "Last activity: " in out
    assert "`caebench run quickstart --scale nano` runs what is missing." in out
    assert "`caebench why " in out and "failed: " in out


@pytest.mark.parametrize("words", [("status",), ("status", "--all"), ("store",)])
def test_an_empty_store_says_where_it_looked_and_what_to_run(desk, words):
    out = " ".join(desk(*words).out.split())
    assert f"Store {desk.store}, of site 'local', or of CAEBENCH_STORE: there is no such folder yet." in out
    assert "`caebench run quickstart` fills it in minutes" in out


def test_an_empty_report_says_where_it_looked_and_what_to_run(desk, half):
    out = desk("report", "ablation-depth", "--scale", "nano").out
    assert f"No number of ours is in {desk.store} and results/nano/records." in out
    assert "`caebench run ablation-depth --scale nano` makes them." in out
    assert "No number" not in desk("report", "quickstart", "--scale", "nano").out


def test_a_suite_may_be_named_without_an_option(desk, half):
    named = [desk("report", *words, "--scale", "nano") for words in (("quickstart",), ("--suite", "quickstart"))]
    assert named[0] == named[1] and named[0].out.startswith("row\tLIN\tATT\t")
    assert desk("report", "quickstart", "--table", "1").error.startswith("error: report: give one of SUITE")


@pytest.mark.parametrize("words", ["CAE, pixels/knn", "CAE, pixels/k-NN", "cae,  Pixels/K-nn"])
def test_a_cell_is_named_in_the_tables_words(desk, half, words):
    facts = json.loads(desk("why", f"quickstart/{words}", "--scale", "nano", "--json").out)
    assert (facts["row"], facts["column"], facts["state"]) == ("CAE, pixels", "knn", "done")


@pytest.mark.parametrize(
    ("words", "cell"),
    [
        ("CAE / pixels/LIN / 1", ("CAE / pixels", "a/b")),
        ("CAE / pixels/a/b", ("CAE / pixels", "a/b")),
        ("MAE/k-NN", ("MAE,  300", "knn")),
        ("mae, 300/lin / 1", ("MAE,  300", "a/b")),
    ],
)
def test_slashes_belong_to_labels(desk, tmp_path, words, cell):
    path = tmp_path / "s.toml"
    path.write_text(SLASHED, encoding="utf8")
    facts = json.loads(desk("why", f"{path}/{words}", "--scale", "nano", "--json").out)
    assert (facts["row"], facts["column"]) == cell


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("CAE, pixels/LUN", "column 'LUN' is none of "),
        ("CAE, pixels", "a cell needs a column, too."),
        ("CAE, pixel/LIN", "Did you mean 'CAE, pixels/LIN'?"),
    ],
)
def test_an_unknown_cell_is_one_line_with_what_is_known(desk, words, said):
    answer = desk("why", f"quickstart/{words}", "--scale", "nano")
    assert (answer.status, answer.out) == (2, "") and answer.error.count("\n") == 1
    assert said in answer.error and "Columns: LIN; ATT; k-NN" in answer.error


def test_the_page_of_a_job(desk, half, terminal):
    (job,) = [job for name, job in half.items() if name.startswith("pretrain/cae-dvae")]
    page = desk("why", job.id).out
    for words in ("What it is", "In tables", "Inputs", "Needed by", "Made by", "Most similar job", "CAE, own d-VAE"):
        assert words in page
    piped = [line for line in page.splitlines() if "\t" in line]
    assert not piped and f"caebench why {job.id} --json" in " ".join(page.split())


def test_the_page_of_a_failed_job_begins_with_why(desk, half):
    (job,) = [job for name, job in half.items() if name.startswith("finetune/sketch-random")]
    found = rows(desk("why", job.id).out)
    assert ("Failure", "error", "Diverged: the loss is not finite") in [tuple(line.values()) for line in found][:6]


def test_fields_that_a_suite_sets_are_on_the_page(desk, tiny):
    plan = make_plan(suites.load("ablation-mask-ratio"), tiny, [0])
    fill(Store(desk.store), plan)
    (job,) = {job.id for job in plan.jobs if job.kind == "pretrain" and "mask" in job.name and "0.6" in job.name}
    found = rows(desk("why", job).out)
    assert any(line["section"].startswith("Set by the suite") and "ratio" in line["what"] for line in found)


def test_a_result_is_the_number_of_the_table(desk, half):
    (job,) = [job for name, job in half.items() if name.startswith("linear_probe/imagenet1k-cae-pixels")]
    metrics = json.loads((Store(desk.store).folder(job) / RESULT).read_text())["metrics"]
    (line,) = rows(desk("status", job.id).out)
    assert line["result or reason"].startswith(f"top1 {metrics['top1_last_epoch']:.4g} [{metrics['top1']:.4g}]")
    out = desk("report", "quickstart", "--scale", "nano").out
    assert f"{metrics['top1_last_epoch']:.1f} +- " in next(line for line in out.splitlines() if "CAE, pixels" in line)


def test_the_mark_of_a_deviation_is_the_same_in_cells_and_notes(desk, tiny):
    text = suites.find("frozen-probes").read_text(encoding="utf8")
    odd = text.replace('header = "k-NN, mean"', 'header = "k-NN, mean", published = "LIN"', 1)
    assert odd != text
    (desk.home / "odd.toml").write_text(odd)
    fill(Store(desk.store), make_plan(suites.load(str(desk.home / "odd.toml")), tiny, [0]))
    for format in ("tsv", "rich", "md"):
        out = desk("report", str(desk.home / "odd.toml"), "--scale", "nano", "--format", format).out
        table, notes = out.split("† deviates", 1)
        assert "†" in table and "+ deviates" not in notes


def test_legends_stand_only_where_their_signs_do(desk, half):
    out = desk("report", "quickstart", "--scale", "nano").out
    assert "not looked up" not in out and "only n of m seeds" not in out and "suggested at most" in out
    out = desk("report", "quickstart", "--scale", "nano", "--vs", "official-first").out
    assert "-: not looked up" in out
