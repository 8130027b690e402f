"""Every suite's report, two of them in every format, from made-up results: what is seen does not change unnoticed."""

import difflib
import json
import shutil
import subprocess

import pytest

from caebench.planning.graph import make_plan
from caebench.planning.scale import SCALES
from caebench.store.store import Store
from caebench.suites import loading as suites
from tests.golden.fake import fill
from tests.golden.update import FORMATS, IN_EVERY_FORMAT, REPORTS, render

HOW = "\nMeant? Run `.venv/bin/python -m tests.golden.update` and look at the changes as a reader would."


@pytest.mark.parametrize("suite", suites.names())
def test_a_report_is_as_before(suite, tmp_path):
    for format, text in render(suite, tmp_path).items():
        path = REPORTS / f"{suite}{FORMATS[format]}"
        before = path.read_text(encoding="utf8") if path.exists() else ""
        changes = "\n".join(difflib.unified_diff(before.splitlines(), text.splitlines(), lineterm="", n=0))
        assert before == text, f"{path.name}:\n{changes[:4000]}{HOW}"


@pytest.mark.parametrize("suite", suites.names())
def test_the_json_is_json_and_has_a_state_for_every_cell(suite):
    content = json.loads((REPORTS / f"{suite}.json").read_text(encoding="utf8"))
    table = suites.load(suite)
    assert len(content["cells"]) == len(table.rows) * len(table.columns)
    assert all(cell["state"] for cell in content["cells"]) and len(content["claims"]) == len(table.claims)


@pytest.mark.parametrize("suite", IN_EVERY_FORMAT)
def test_the_latex_compiles(suite, tmp_path):
    compiler = next((name for name in ("tectonic", "pdflatex", "lualatex", "xelatex") if shutil.which(name)), None)
    if compiler is None:
        pytest.skip("no TeX is installed: none of tectonic, pdflatex, lualatex, xelatex was found")
    source = tmp_path / f"{suite}.tex"
    source.write_bytes((REPORTS / source.name).read_bytes())
    options = [] if compiler == "tectonic" else ["-interaction=nonstopmode", "-halt-on-error"]
    done = subprocess.run([compiler, *options, source.name], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    assert source.with_suffix(".pdf").exists()


def test_the_latex_is_balanced_where_no_tex_is_installed():
    for path in REPORTS.glob("*.tex"):
        text = path.read_text(encoding="utf8")
        for environment in ("document", "table", "tabular", "itemize"):
            assert text.count(f"\\begin{{{environment}}}") == text.count(f"\\end{{{environment}}}")
        plain = text.replace("\\\\", "").replace("\\{", "").replace("\\}", "")
        assert plain.count("{") == plain.count("}") and text.isascii()
        for table in text.split("\\begin{tabular}")[1:]:
            lines = [line for line in table.split("\\bottomrule")[0].splitlines() if line.endswith("\\\\")]
            assert len({line.replace("\\&", "").count("&") for line in lines}) == 1


def test_the_golden_store_has_everything_that_a_plan_asks_for(tmp_path):
    plan, store = make_plan(suites.load("quickstart"), SCALES["nano"], [0]), Store(tmp_path)
    fill(store, plan)
    assert {store.state(job) for job in plan.jobs} == {"done"}
