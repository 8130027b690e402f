"""Questions about jobs go to each scheduler that their records name, and to no other."""

import getpass
import json
import os

import pytest

from caebench.execution.schedulers import registry
from caebench.execution.schedulers.slurm.scheduler import SlurmScheduler
from caebench.files.atomic import write_json
from caebench.files.layout import LEASE
from caebench.specs.site import Site
from caebench.specs.slurm import Slurm
from caebench.store.holders import HolderId
from caebench.store.queue import QueuedJob, QueueSnapshot

RUNS = QueuedJob("running", "", 60.0, None, "n1")


class Pile(SlurmScheduler):
    """Another scheduler, which notes what it is asked."""

    name, title = "pile", "Pile"

    def __init__(self, present=True):
        self.present, self.asked, self.cancelled = present, [], []

    def is_present(self):
        return self.present

    def query(self, users, job_ids):
        self.asked.append((set(users), set(job_ids)))
        return QueueSnapshot(self.name, self.title, 0.0, dict.fromkeys({"7"} & set(job_ids), RUNS))

    def cancel(self, job_ids):
        self.cancelled += job_ids


@pytest.fixture
def two(monkeypatch):
    """Two schedulers, of which this machine sees one."""
    found = {"pile": Pile(), "heap": Pile(present=False)}
    monkeypatch.setattr(registry, "SCHEDULERS", found)
    return found


@pytest.fixture
def folders(tmp_path):
    """One a holder, and one without a lease."""
    found = [tmp_path / "none"]
    for name, job_id in (("pile", "7"), ("pile", "8"), ("heap", "7"), ("gone", "7")):
        found.append(tmp_path / f"{name}-{job_id}")
        found[-1].mkdir()
        write_json(found[-1] / LEASE, {"scheduler": name, "scheduler_id": job_id, "user": f"{name}-{job_id}"})
    return found


def test_each_scheduler_that_leases_name_is_asked_once(two, folders):
    assert set(registry.query(folders)) == {"pile"}
    assert two["pile"].asked == [({"pile-7", "pile-8"}, {"7", "8"})] and two["heap"].asked == []
    assert registry.query(folders[:1]) == {}


def test_what_is_in_a_queue_is_cancelled_there(two, folders):
    queued = registry.queued_holders(folders[:3])
    assert queued == {HolderId("pile", "7")}
    registry.cancel(queued)
    assert two["pile"].cancelled == ["7"] and two["heap"].cancelled == []


@pytest.mark.parametrize(("name", "title"), [("heap", "Pile"), ("gone", "gone")])
def test_what_cannot_be_asked_is_not_called_over(two, folders, name, title):
    (folder,) = [path for path in folders if path.name == f"{name}-7"]
    with pytest.raises(
        ValueError, match=rf"{folder.parent.name}/{name}-7: was submitted as {title} job 7, and this ma"
    ):
        registry.queued_holders([folder])


def test_a_failed_job_without_a_lease_is_asked_about(two, tmp_path):
    folder = tmp_path / "failed"
    folder.mkdir()
    (folder / "attempts.jsonl").write_text('{"begins": "", "scheduler": "pile", "scheduler_id": "9"}\n')
    assert registry.query([folder]) == {}
    write_json(folder / "failure.json", {"error": "RuntimeError: connection reset by peer"})
    registry.query([folder])
    assert two["pile"].asked == [({getpass.getuser()}, {"9"})]


def test_logs_of_all_attempts_are_found_the_oldest_first(two, tmp_path):
    for number, name in enumerate(("pile/7_0_log.err", "pile/7_0_log.out", "pile/8_0_log.out", "pile/77_0_log.out")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, (9 - number, 9 - number))
    lines = [{"begins": "", "scheduler": "pile", "scheduler_id": job_id} for job_id in ("7", "7", "8")]
    (tmp_path / "attempts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*lines, {"begins": ""}]))
    names = [path.name for path in registry.log_files(tmp_path, tmp_path)]
    assert names == ["8_0_log.out", "7_0_log.out", "7_0_log.err"]


def test_a_job_that_never_began_an_attempt_has_a_log(two, tmp_path, folders):
    path = tmp_path / "pile" / "8_0_log.err"
    path.parent.mkdir()
    path.write_text("python3.99: command not found\n")
    pile_8 = folders[2]
    assert registry.log_files(pile_8, tmp_path) == [path]


def test_a_site_has_the_scheduler_of_its_section(tmp_path):
    assert registry.scheduler_of(Site()) is None and Site().section is None
    site = Site(store=tmp_path, slurm=Slurm(), shared_store=True)
    assert site.scheduler == "slurm" and site.section == Slurm()
    assert isinstance(registry.scheduler_of(site), SlurmScheduler)


def test_a_cluster_that_this_machine_belongs_to_goes_before_others(two):
    assert registry.present_scheduler() is two["pile"]
    two["pile"].present, two["heap"].present = False, True
    assert registry.present_scheduler() is two["heap"]
    two["heap"].present = False
    assert registry.present_scheduler() is two["pile"], "its error says what is missing"
