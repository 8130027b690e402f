"""Hours of a plan: one way to add them up, shared passes taken off wherever hours are printed."""

import json

import pytest
from typer.testing import CliRunner

from caebench.cli import app
from caebench.planning.facts import plan_facts
from caebench.planning.setup import set_up
from caebench.specs import site as sites
from caebench.suites import loading as suites

SHARING = "frozen-probes"  # three probes of an encoder go through one pass of it


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """The facts of a suite's plan, or of all of them, at paper scale."""
    monkeypatch.setattr(sites, "SITES", tmp_path)

    def facts(suite, seeds=(0,), site="local"):
        return plan_facts(set_up(suite, "paper", site, tmp_path / "store", list(seeds)))

    return facts


def test_a_suite_alone_costs_what_its_own_plan_says(plan):
    facts = plan(SHARING)
    assert facts["gpu_hours_saved_by_passes"] > 0
    assert facts["gpu_hours_naive"] == facts["gpu_hours"] == facts["gpu_hours_to_do"]
    apart = sum(job["gpu_hours"] for job in facts["jobs"])
    assert facts["gpu_hours"] == pytest.approx(apart - facts["gpu_hours_saved_by_passes"])


@pytest.mark.parametrize("cache", ["", "code_cache_gb = 200.0\n"], ids=["no caches", "caches"])
def test_suites_alone_add_up_to_the_printed_hours(plan, tmp_path, cache):
    (tmp_path / "cluster.toml").write_text(cache or 'scale = "paper"\n', encoding="utf8")
    together = plan("all", site="cluster")
    alone = [plan(name, site="cluster")["gpu_hours"] for name in suites.names()]
    assert together["gpu_hours_naive"] == pytest.approx(sum(alone))
    assert together["gpu_hours"] < together["gpu_hours_naive"]


def test_what_is_missing_costs_what_the_plan_says_is_to_do(plan, tmp_path):
    where = ["--scale", "paper", "--store", str(tmp_path / "store")]
    missing = CliRunner().invoke(app, ["report", "--suite", SHARING, "--missing", *where])
    planned = CliRunner().invoke(app, ["plan", SHARING, *where])
    assert missing.exit_code == planned.exit_code == 0, missing.output + planned.output
    (said,) = [line for line in missing.output.splitlines() if "A100-80GB hours, estimated: " in line]
    hours = said.split("estimated: ")[1].split(". Disk")[0]
    (line,) = [line for line in planned.output.splitlines() if "in all (" in line]
    assert f"estimated: {hours} in all ({hours} if each suite ran alone), {hours} to do" in line
    as_json = CliRunner().invoke(app, ["plan", SHARING, "--json", *where])
    assert json.loads(as_json.output)["gpu_hours"] == plan(SHARING)["gpu_hours"]
