"""The code of plug-ins: a job runs it as it was at submission, and its provenance says which it is."""

import json
import subprocess
import sys

import pytest

from caebench.execution import plugin_code, provenance, snapshot
from caebench.execution.schedulers.slurm.payload import Payload
from caebench.report.protocol import deviations
from caebench.specs import plugins
from caebench.specs.evaluations.knn import knn
from caebench.specs.plugin import Plugin
from caebench.specs.site import Site
from tests.unit.execution.test_snapshot import checkout, git

assert checkout  # a fixture
MODULE = "STAGES = {}\nNUMBER = 1\n"
FACTS = """
import json
from caebench.specs.plugins import USED, use
use(%r)
from caebench.execution.provenance import collect
import mylab
print(json.dumps([collect()["plugins"], mylab.NUMBER, mylab.__file__, [str(one) for one in USED]]))
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A folder of Python's path with the package `mylab`, which is used as a plug-in."""
    folder = tmp_path / "lab"
    (folder / "mylab").mkdir(parents=True)
    (folder / "mylab" / "__init__.py").write_text(MODULE)
    (folder / "mylab" / "weights.bin").write_bytes(b"\0")
    monkeypatch.syspath_prepend(str(folder))
    use(monkeypatch, Plugin("mylab", "plugins in a test", places={"stages": ("mylab:STAGES",)}))
    yield folder
    sys.modules.pop("mylab", None)


def use(monkeypatch, *used):
    monkeypatch.setattr(plugins, "USED", list(used))


def commit(folder):
    git(folder, "init", "-q", ".")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return git(folder, "rev-parse", "HEAD").strip()


def the_plugin():
    (found,) = provenance.code()["plugins"]
    return found


def seen_in(folder, modules=("mylab",)):
    """What a process sees whose code is a snapshot."""
    done = subprocess.run(
        [sys.executable, "-c", FACTS % (list(modules),)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_provenance_names_module_version_commit_and_changes(lab):
    first = commit(lab)
    found = the_plugin()
    assert found.pop("sha256")
    assert found == {"plugin": "mylab", "module": "mylab", "version": None, "commit": first, "dirty": False}
    (lab / "mylab" / "new.py").write_text("")
    assert the_plugin()["dirty"] is True
    git(lab, "add", "-A")
    git(lab, "commit", "-qm", "second")
    (lab / "elsewhere.py").write_text("")  # not the plug-in's
    assert the_plugin()["dirty"] is False and the_plugin()["commit"] != first


def test_without_a_repository_there_is_a_hash_and_no_commit(lab):
    found = the_plugin()
    assert (found["commit"], found["dirty"]) == (None, None)
    (lab / "mylab" / "__pycache__").mkdir(exist_ok=True)
    (lab / "mylab" / "__pycache__" / "a.pyc").write_bytes(b"")
    assert the_plugin() == found
    (lab / "mylab" / "weights.bin").write_bytes(b"\1")
    assert the_plugin()["sha256"] != found["sha256"]


def test_a_package_that_a_repository_ignores_is_of_no_commit(lab):
    (lab / ".gitignore").write_text("mylab\n")
    commit(lab)
    assert the_plugin()["commit"] is None


def test_a_process_without_plug_ins_says_nothing_of_them(monkeypatch):
    use(monkeypatch)
    assert "plugins" not in provenance.code()


def test_a_plug_in_with_changes_is_refused_or_marked(checkout, lab, tmp_path):
    commit(lab)
    clean = snapshot.take(tmp_path / "store")
    (lab / "mylab" / "new.py").write_text("")
    with pytest.raises(ValueError, match=r"mylab: plug-in 'mylab'.*uncommitted changes.*new\.py.*--dirty"):
        snapshot.take(tmp_path / "store")
    found = snapshot.take(tmp_path / "store", dirty_is_fine=True)
    assert found != clean and "dirty" in found.name and (found / "mylab" / "new.py").exists()
    facts = snapshot.read_facts(found)
    assert facts["dirty"] is False and [one["dirty"] for one in facts["plugins"]] == [True]


def test_another_code_of_a_plug_in_is_another_snapshot_and_the_same_is_the_same(checkout, lab, tmp_path):
    first = snapshot.take(tmp_path / "store")
    assert snapshot.take(tmp_path / "store") == first and snapshot.planned(tmp_path / "store") == first
    (lab / "mylab" / "__init__.py").write_text(MODULE.replace("1", "2"))
    assert snapshot.take(tmp_path / "store") != first


def test_a_snapshot_whose_plug_in_was_changed_is_refused(checkout, lab, tmp_path):
    found = snapshot.take(tmp_path / "store")
    (found / "mylab" / "__init__.py").write_text("")
    with pytest.raises(ValueError, match="files of this snapshot were changed"):
        snapshot.read_facts(found)


def test_a_job_runs_a_plug_in_as_it_was_at_submission(lab, tmp_path):
    first = commit(lab)
    found = snapshot.take(tmp_path / "store", dirty_is_fine=True)
    (lab / "mylab" / "__init__.py").write_text(MODULE.replace("1", "2"))
    (one,), number, file, _ = seen_in(found)
    assert (one["commit"], one["dirty"], number) == (first, False, 1)
    assert file == str(found / "mylab" / "__init__.py")
    (found / "mylab" / "__init__.py").write_text(MODULE.replace("1", "3"))
    assert seen_in(found)[0][0]["dirty"] is True


def test_the_entry_points_of_an_installed_package_are_in_the_snapshot(lab, tmp_path, monkeypatch):
    use(monkeypatch, Plugin("my-lab", "installed package my-lab 2.0", True, "2.0", {"stages": ("mylab:STAGES",)}))
    found = snapshot.take(tmp_path / "store", dirty_is_fine=True)
    (one,), number, _, used = seen_in(found, modules=())
    assert (one["plugin"], one["version"], number) == ("my-lab", "2.0", 1)
    assert used == ["plug-in 'my-lab' (installed package my-lab 2.0)"]


def test_a_module_of_a_namespace_package_is_copied_to_its_place(lab, tmp_path, monkeypatch):
    (lab / "group").mkdir()
    (lab / "group" / "probe.py").write_text(MODULE)
    use(monkeypatch, Plugin("group.probe", "a test", places={"stages": ("group.probe:STAGES",)}))
    (code,) = plugin_code.of_plugins()
    plugin_code.copy([code], tmp_path / "there")
    assert (tmp_path / "there" / "group" / "probe.py").read_text() == MODULE
    assert plugin_code.hash_copied(tmp_path / "there", {"module": "group.probe"}) == the_plugin()["sha256"]


def test_a_job_whose_plug_in_is_another_one_fails_before_it_runs(lab, tmp_path, monkeypatch):
    submitted = provenance.code()
    payload = Payload([], tmp_path, Site(), submitted)
    payload._check_code([])
    (lab / "mylab" / "__init__.py").write_text("STAGES = {}\n")
    with pytest.raises(RuntimeError, match="the plug-in mylab is not as it was at submission"):
        payload._check_code([])


def test_a_number_of_a_changed_plug_in_deviates():
    record = {
        "provenance": {"commit": "0", "dirty": False, "plugins": [{"module": "mylab", "sha256": "", "dirty": True}]},
        "fingerprints": {},
    }
    lines = deviations(knn(), knn(), record, {"data": {}, "versions": {}})
    assert lines == ["made from a changed working tree of the plug-in mylab"]
