"""Reports that look into the store, the records and other suites."""

import json

import pytest
from typer.testing import CliRunner

from caebench.cli import app
from caebench.cli.report import print_reports, report
from caebench.planning.graph import Plans, make_plan
from caebench.planning.scale import SCALES
from caebench.planning.setup import set_up
from caebench.report.explain import explain_cell
from caebench.report.reports import Reports
from caebench.store.records import Records
from caebench.store.store import Store
from caebench.suites import loading as suites
from caebench.suites.claims import CellName
from caebench.suites.published import parse_sets


def finish(store, job, metrics, dirty=False):
    folder = store.prepare(job)
    (folder / "metrics.jsonl").write_text("{}\n")
    (folder / "provenance.json").write_text(json.dumps({"commit": "c0ffee", "dirty": dirty, "packages": {}}))
    intervals = {name: [value - 0.1, value + 0.1] for name, value in metrics.items()}
    result = {"id": job.id, "metrics": metrics, "intervals": intervals, "fingerprints": {}, "finished": "today"}
    (folder / "result.json").write_text(json.dumps(result))


@pytest.fixture
def store(tmp_path):
    """Table 7's linear column, done for seeds 0 and 2."""
    store = Store(tmp_path / "store")
    plan = make_plan(suites.load("ablation-mask-ratio"), SCALES["paper"], [0, 2])
    for number, cell in enumerate(c for c in plan.cells if c.column.header == "LIN"):
        for job in cell.jobs:
            for parent in job.ancestors():
                finish(store, parent, {})
            finish(store, job, {"top1": 60.0 + 2 * number}, dirty=number == 2)
    return store


@pytest.fixture
def reports(store):
    return Reports(SCALES["paper"], Records(store), parse_sets("paper"))


def test_a_report_shows_the_seeds_that_are_done(reports):
    table = suites.load("ablation-mask-ratio")
    entry = reports.entry(table, CellName(None, "T7-50%", "linear"))
    assert entry.estimate.values == {0: 62.0, 2: 62.0}
    assert reports.plan(suites.load("ablation-depth")).cells[0].jobs, "seed 0 where nothing is done"


def test_claims_are_judged_on_ours_and_on_the_published_numbers(reports):
    table = suites.load("ablation-mask-ratio")
    ours = {mine.claim.statement: mine.status for mine, _ in reports.claims(table)}
    assert ours == {"50 % beats 40 %": "untestable", "60 % raises LIN and ATT, and lowers mIoU": "untestable"}
    theirs = {claim.claim.statement: claim.status for _, claim in reports.claims(suites.load("ablation-components"))}
    assert theirs["Alignment raises mIoU"] == "held"


def test_a_claim_may_look_into_another_suite(reports):
    table = suites.load("detection-coco")
    (judged,) = [theirs for _, theirs in reports.claims(table) if "on ADE20K and on COCO" in theirs.claim.statement]
    assert judged.status == "held" and len(judged.parts) == 2


def test_from_a_cell_to_jobs_commits_and_logs(reports, store):
    facts = explain_cell(reports, "ablation-mask-ratio", "T7-50%", "linear")
    assert [number["seed"] for number in facts["numbers"]] == [0, 2]
    first = facts["numbers"][0]
    assert first["commit"] == "c0ffee" and first["log"].endswith("metrics.jsonl") and first["state"] == "done"
    assert {parent["job"].split("/")[0] for parent in first["depends_on"]} == {"data", "tokenizer", "pretrain"}
    assert facts["protocol"]["feature"] == "cls" and facts["protocol"]["epochs"] == "90 epochs"


@pytest.fixture
def ask(store, tmp_path, monkeypatch, capsys):
    """`caebench report` on that store."""
    monkeypatch.chdir(tmp_path)

    def run(**options):
        report(
            **{"table": None, "suite": None, "all": False, "scale": "paper", "seeds": None, "site": "local"}
            | {"store": store.root, "versus": "paper", "format": "md", "out": None, "force": False}
            | {"results": tmp_path / "results", "strict": False, "missing": False, "json": False}
            | options
        )
        return capsys.readouterr().out

    return run


def test_a_report_prints_and_writes_nothing(ask, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    assert "62.0 ± 0.0" in ask(table=7) and ask(all=True, format="json")
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_printed_is_written_in_every_format_where_a_folder_is_named(ask, tmp_path, capsys):
    printed = ask(table=7, out=tmp_path / "out")
    written = {path.suffix: path.read_text(encoding="utf8") for path in (tmp_path / "out").iterdir()}
    assert set(written) == {".md", ".csv", ".tex", ".json"}
    assert printed == written[".md"] and "62.0 ± 0.0" in printed
    assert json.loads(written[".json"])["cells"][3]["mean"] == 62.0


def test_it_says_what_it_wrote_and_leaves_standard_output_to_the_report(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    where = ["--scale", "paper", "--store", str(store.root), "--out", "out"]
    said = CliRunner().invoke(app, ["report", "--table", "7", "--json", *where])
    assert said.exit_code == 0 and json.loads(said.stdout)["suite"] == "ablation-mask-ratio"
    assert said.stderr == "wrote out/ablation-mask-ratio-paper.{md,csv,tex,json}\n"


def contents(folder):
    return {path.name: path.read_text(encoding="utf8") for path in folder.iterdir()}


def test_a_fuller_table_is_not_replaced_by_an_emptier_one(ask, store, tmp_path, monkeypatch):
    """As in a fresh clone: the tables are there, the jobs are not."""
    out = tmp_path / "out"
    ask(table=7, out=out)
    before = contents(out)
    with pytest.raises(
        ValueError, match=r"6 numbers, and 6 of them are not in the new one \(first: T7-40%/linear\)"
    ) as no:
        ask(table=7, out=out, store=tmp_path / "empty")
    assert "ablation-mask-ratio-paper.json" in str(no.value) and "--force" in str(no.value)
    assert len(str(no.value).splitlines()) == 1 and contents(out) == before
    with pytest.raises(ValueError, match="6 numbers, and 3 of them"):
        ask(table=7, out=out, seeds="0")
    with pytest.raises(ValueError, match="Nothing was written"):
        ask(all=True, out=out, store=tmp_path / "empty")
    assert contents(out) == before, "of no suite, if one is refused"
    assert ask(table=7, out=out), "as full: replaced"
    assert "not run" in ask(table=7, out=out, store=tmp_path / "empty", force=True)
    assert "not run" in contents(out)["ablation-mask-ratio-paper.md"]
    ask(table=7, out=out)
    assert contents(out) == before, "a fuller one takes an emptier one's place"


def own_suite(folder, change=lambda text: text):
    """A user's own suite under the name of a known one."""
    path = folder / "own" / "ablation-mask-ratio.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(change(suites.load("ablation-mask-ratio").path.read_text(encoding="utf8")), encoding="utf8")
    return str(path)


def test_another_suite_of_the_same_name_does_not_replace_a_table(ask, tmp_path):
    out = tmp_path / "out"
    ask(table=7, out=out)
    before = contents(out)
    assert ask(suite=own_suite(tmp_path), out=out), "the same suite from another folder"
    other = own_suite(tmp_path, lambda text: text.replace('label = "50 %"', 'label = "half"'))
    with pytest.raises(ValueError, match=r"is of another suite 'ablation-mask-ratio' than .*own"):
        ask(suite=other, out=out)
    assert contents(out) == before
    ask(suite=other, out=tmp_path / "mine")
    ask(suite=other, out=out, force=True)
    assert "half" in contents(out)["ablation-mask-ratio-paper.md"]


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("{}")])
def test_a_table_that_cannot_be_compared_is_not_replaced(ask, tmp_path, damage):
    ask(table=7, out=tmp_path / "out")
    damage(tmp_path / "out" / "ablation-mask-ratio-paper.json")
    before = contents(tmp_path / "out")
    with pytest.raises(ValueError, match="the existing table cannot be read"):
        ask(table=7, out=tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_what_is_missing_is_printed_only(ask, tmp_path):
    with pytest.raises(ValueError, match=r"--missing: .* Leave out --out"):
        ask(table=7, missing=True, out=tmp_path / "out")


def test_a_runs_table_is_printed_and_not_written(store, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    print_reports(set_up("ablation-mask-ratio", "paper", "local", store.root, [0, 2]), [0, 2])
    assert "62.0 +- 0.0" in capsys.readouterr().out and sorted(tmp_path.rglob("*")) == before


def test_strict_fails_on_a_table_with_a_dagger(ask, tmp_path):
    with pytest.raises(ValueError, match="made from a changed working tree"):
        ask(table=7, strict=True, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert "Table 5" in ask(table=5, strict=True)


def test_missing_lists_the_jobs_that_would_complete_it(ask, store):
    plan = Plans("7", (make_plan(suites.load("ablation-mask-ratio"), SCALES["paper"], [0, 2]),))
    open_jobs = {job.id for job in plan.jobs if store.state(job) != "done"}
    listed = json.loads(ask(table=7, missing=True, format="json"))
    assert {fact["id"] for fact in listed} == open_jobs and len(open_jobs) == 13
    assert all(fact["gpu_hours"] >= 0 for fact in listed)
    assert "13 jobs" in ask(table=7, missing=True)


def test_one_thing_must_be_asked_for(ask):
    with pytest.raises(ValueError, match="give one of"):
        ask()
    with pytest.raises(ValueError, match="give one of"):
        ask(table=7, all=True)
