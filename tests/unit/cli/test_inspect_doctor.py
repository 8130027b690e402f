"""`caebench doctor`: the data and assets that a site names, without opening an image; each finding with what to do."""

import json
from pathlib import Path

import pytest

from caebench.datasets.registry import PUBLISHED
from caebench.execution.doctor import examine
from caebench.specs.site import Site


def findings(**fields):
    return {one.what: one for one in examine(Site.model_validate(fields))}


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_a_root_that_looks_like_its_data_set_is_well_and_opens_no_image(world_root, name, monkeypatch):
    monkeypatch.setattr("PIL.Image.open", lambda *_: pytest.fail("an image was opened"))
    root = world_root / PUBLISHED[name].folder
    found = findings(data={name: root})[f"data {name}"]
    assert found.state == "ok" and f"caebench data check {name} --root {root}" in found.do, found


@pytest.mark.parametrize("name", list(PUBLISHED))
@pytest.mark.parametrize("kind", ["gone", "empty"])
def test_a_root_that_is_gone_or_another_says_what_is_wanted(tmp_path, name, kind):
    root = tmp_path / kind
    if kind == "empty":
        root.mkdir()
    found = findings(data={name: root})[f"data {name}"]
    assert found.state == "bad" and PUBLISHED[name].layout in found.found
    assert "correct the path in the site file, [data]." in found.do and PUBLISHED[name].source in found.do


def test_an_asset_that_is_named_is_looked_at(tmp_path):
    what, path = "asset dalle_encoder", tmp_path / "encoder.pkl"
    assert findings()[what].state == "note" and "caebench assets fetch" in findings()[what].do
    absent = findings(assets={"dalle_encoder": path})[what]
    assert (absent.state, absent.found) == ("bad", f"{path}: no such file") and "assets fetch" in absent.do
    path.touch()
    assert findings(assets={"dalle_encoder": path})[what].state == "bad", "it is empty"
    path.write_bytes(b"x")
    assert findings(assets={"dalle_encoder": path})[what].state == "ok"


def test_what_would_stop_a_run_is_exit_status_2(desk):
    desk.write_site("mine", f'store = "{desk.store}"\n[data]\nimagenet1k = "/nowhere"\n')
    answer = desk("doctor", "--site", "mine", "--json")
    found = {one["what"]: one for one in json.loads(answer.out)}
    assert answer.status == 2 and found["data imagenet1k"]["state"] == "bad"
    assert all(one["do"] for one in found.values() if one["state"] == "bad")
    assert not Path("/nowhere").exists()
