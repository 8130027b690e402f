"""What a cell says of its numbers."""

import csv
import json

import pytest

from caebench.planning.graph import make_plan
from caebench.planning.scale import SCALES
from caebench.report import load
from caebench.report.facts import comma_separated
from caebench.report.render import notes, text, title
from caebench.report.table import entries
from caebench.store.records import Records, export, records_folder
from caebench.store.store import Store
from caebench.suites import loading as suites
from caebench.suites.published import parse_sets, read_set

SUITE = "ablation-mask-ratio"


class Bench:
    """A store in which single cells are finished by hand."""

    def __init__(self, folder, scale="paper", seeds=(0, 1, 2)):
        self.store = Store(folder)
        self.plan = make_plan(suites.load(SUITE), SCALES[scale], seeds)

    def cell(self, row, column):
        return next(c for c in self.plan.cells if c.row.id == row and c.column.header == column)

    def finish(self, row, column, *values, half=0.4, **changes):
        """Give the first seeds of a cell these values."""
        cell = self.cell(row, column)
        for job, value in zip(cell.jobs, values, strict=False):
            folder, metric = self.store.prepare(job), cell.column.metric
            intervals = {metric: [value - half, value + half]}
            made_with = {"commit": "c0ffee", "dirty": False, "packages": {"torch": "2.11.0"}, **changes}
            (folder / "provenance.json").write_text(json.dumps(made_with))
            result = {"id": job.id, "metrics": {metric: value}, "intervals": intervals, "fingerprints": {"val": "a"}}
            (folder / "result.json").write_text(json.dumps({**result, **changes.get("result", {})}))

    def entry(self, row, column, sets="paper"):
        rows = entries(self.plan, Records(self.store), parse_sets(sets))
        return next(e for cells in rows for e in cells if e.row.id == row and e.column.header == column)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_three_seeds_scatter_by_themselves(bench):
    bench.finish("T7-50%", "LIN", 64.0, 64.2, 64.4)
    entry = bench.entry("T7-50%", "LIN")
    assert text(entry).plain() == "64.2 +- 0.2 (64.1)"
    assert entry.estimate.standard_error == pytest.approx(0.2 / 3**0.5)
    assert (entry.verdict.word, round(entry.verdict.gap, 3)) == ("within noise", 0.1)


def test_fewer_seeds_take_the_noise_of_the_evaluation_set(bench):
    bench.finish("T7-50%", "LIN", 62.0, 63.0, half=0.392)
    entry = bench.entry("T7-50%", "LIN")
    assert text(entry).plain() == "62.5 +- 0.2 [2 of 3] (64.1)"
    assert entry.estimate.source == "evaluation" and entry.verdict.word == "low"


def test_what_is_not_there_says_why(bench):
    assert text(bench.entry("T7-40%", "LIN")).plain() == "not run (not found)"
    job = bench.cell("T7-60%", "LIN").jobs[0]
    (bench.store.prepare(job) / "failure.json").write_text("{}")
    assert text(bench.entry("T7-60%", "LIN")).plain() == "failed (not found)"


def test_a_number_that_nobody_looked_up_is_not_called_lost(bench):
    assert text(bench.entry("T7-40%", "LIN", "paper,official")).theirs == ("not found", "-")
    entries_of_all = [[bench.entry("T7-40%", "LIN", "paper,official")]]
    assert any(line.endswith("paper; official; -: not looked up.") for line in notes(bench.plan, entries_of_all))


def test_the_csv_has_a_column_for_every_set(bench):
    bench.finish("T7-50%", "LIN", 64.0, 64.2, 64.4)
    rows = entries(bench.plan, Records(bench.store), parse_sets("official,paper,official-first"))
    lines = list(csv.DictReader(comma_separated(rows).splitlines()))
    sets = ("official", "paper", "official-first")
    found = {
        line["row_id"]: [line[f"published_{name}"] for name in sets] for line in lines if line["column"] == "linear"
    }
    assert found == {"T7-40%": ["", "", ""], "T7-50%": ["64.5", "64.1", "64.1"], "T7-60%": ["", "", ""]}
    (gap,) = [float(line["gap"]) for line in lines if line["gap"]]
    assert gap == pytest.approx(64.2 - 64.5), "to the first set"


def test_nano_shows_no_gap(tmp_path):
    bench = Bench(tmp_path, "nano")
    bench.finish("T7-50%", "LIN", 64.0, 64.2, 64.4)
    entry = bench.entry("T7-50%", "LIN")
    assert entry.verdict is None and entry.theirs.value == 64.1


def test_several_sets_are_shown_in_order(bench, tmp_path):
    mine = tmp_path / "mine.csv"
    mine.write_text("row_id,metric,value\nT7-50%,LIN,63.21\n")
    bench.finish("T7-50%", "LIN", 63.2)
    entry = bench.entry("T7-50%", "LIN", f"{mine},paper,official")
    assert text(entry).theirs == ("63.21", "64.1", "64.5")
    assert entry.verdict.word == "within noise", "printed to a hundredth: 63.2 is not 63.21"


def test_best_and_second_up_to_noise(bench):
    bench.finish("T7-40%", "LIN", 60.0, 60.1, 60.2)
    bench.finish("T7-50%", "LIN", 64.0, 64.1, 64.2)
    bench.finish("T7-60%", "LIN", 63.9, 64.1, 64.3)
    assert [bench.entry(f"T7-{n}%", "LIN").mark for n in (40, 50, 60)] == ["second", "best", "best"]


def test_a_number_made_otherwise_than_its_column_has_a_dagger(bench):
    bench.finish("T7-40%", "LIN", 60.0, 60.0, 60.0)
    bench.finish("T7-50%", "LIN", 64.0, 64.0, 64.0)
    bench.finish("T7-60%", "LIN", 64.0, 64.0, 64.0, packages={"torch": "2.15.0"}, dirty=True)
    entry = bench.entry("T7-60%", "LIN")
    assert entry.deviations == ("torch: 2.11.0 -> 2.15.0", "made from a changed working tree")
    assert text(entry).plain() == "64.0 +- 0.0† (not found)"
    assert not bench.entry("T7-40%", "LIN").deviations


def test_other_data_than_the_columns_is_a_deviation(bench):
    bench.finish("T7-40%", "LIN", 60.0, 60.0, 60.0)
    bench.finish("T7-50%", "LIN", 64.0, result={"fingerprints": {"val": "b"}})
    assert bench.entry("T7-50%", "LIN").deviations == ("data val: a -> b",)


def test_a_column_that_sets_a_field_deviates_from_its_recipe(tmp_path):
    path = tmp_path / "own.toml"
    content = suites.load(SUITE).path.read_text(encoding="utf8").split("[[claims]]")[0]
    eval_linear = 'eval = "linear_probe", published = "LIN"'
    path.write_text(content.replace(eval_linear, f'{eval_linear}, set.feature = "mean"'))
    bench = Bench(tmp_path)
    bench.plan = make_plan(suites.load(str(path)), SCALES["paper"], [0])
    bench.finish("T7-50%", "LIN", 64.0)
    assert bench.entry("T7-50%", "LIN").deviations == ("feature: cls -> mean",)


def test_a_column_that_no_published_number_is_compared_with_has_its_own_protocol(tmp_path):
    path = tmp_path / "own.toml"
    content = suites.load(SUITE).path.read_text(encoding="utf8").split("[[claims]]")[0]
    path.write_text(
        content.replace('eval = "linear_probe", published = "LIN"', 'eval = "linear_probe", set.feature = "mean"')
    )
    bench = Bench(tmp_path)
    bench.plan = make_plan(suites.load(str(path)), SCALES["paper"], [0])
    bench.finish("T7-50%", "LIN", 64.0)
    bench.finish("T7-60%", "LIN", 64.0, dirty=True)
    assert not bench.entry("T7-50%", "LIN").deviations
    assert bench.entry("T7-60%", "LIN").deviations == ("made from a changed working tree",)


@pytest.mark.parametrize(
    ("seeds", "words"), [([0], ""), ([0, 1, 2], ", 3 seeds"), ([1], ", seed 1"), ([0, 2], ", seeds 0, 2")]
)
def test_a_title_says_which_seeds_it_has_if_they_are_not_the_first(tmp_path, seeds, words):
    bench = Bench(tmp_path)
    bench.plan = make_plan(suites.load(SUITE), SCALES["paper"], seeds)
    bench.finish("T7-50%", "LIN", *(64.0 for _ in seeds))
    rows = entries(bench.plan, Records(bench.store), parse_sets("paper"))
    assert title(bench.plan, rows).endswith(f"[PAPER scale{words}]")


def test_records_in_git_fill_a_table_that_the_store_does_not(bench, tmp_path):
    bench.finish("T7-50%", "LIN", 64.0, 64.2, 64.4)
    folder = records_folder("paper", tmp_path / "results")
    assert export(bench.plan.jobs, bench.store, folder) == (3, len(bench.plan.jobs) - 3)
    elsewhere = Records(Store(tmp_path / "empty"), folder)
    rows = entries(bench.plan, elsewhere, [read_set("paper")])
    found = next(e for cells in rows for e in cells if e.state == "done")
    assert text(found).plain() == "64.2 +- 0.2 (64.1)"
    assert elsewhere.state(bench.cell("T7-50%", "LIN").jobs[0]) == "done"
    for record in folder.iterdir():
        record.write_text(record.read_text().replace('"image_size": 224', '"image_size": 192'))
    with pytest.raises(ValueError, match="A default changed"):
        entries(bench.plan, elsewhere, [])


def test_the_frame_has_one_line_per_cell_and_seed(bench, tmp_path, monkeypatch):
    bench.finish("T7-50%", "LIN", 64.0, 64.2, 64.4)
    frame = load(SUITE, scale="paper", seeds=[0, 1, 2], store=bench.store.root, results=tmp_path / "none")
    assert len(frame) == 3 * 3 * 3
    done = frame[frame.state == "done"]
    assert list(done.value) == [64.0, 64.2, 64.4] and set(done.row_id) == {"T7-50%"} and set(done.column) == {"linear"}
    assert list(done.low) == pytest.approx([63.6, 63.8, 64.0]) and done.protocol.nunique() == 1
    assert load(SUITE, scale="paper", store=bench.store.root, results=tmp_path / "none").seed.nunique() == 3
