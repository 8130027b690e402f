"""Every file and folder that a job leaves has the permissions of its user's umask, whichever library wrote it."""

import os
import shutil
import stat

import pytest

from caebench.execution.worker import run_job
from caebench.specs.site import Site
from caebench.store.store import Store


@pytest.fixture(params=[0o002, pytest.param(0o022, marks=pytest.mark.slow)], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder):
    """The permissions of what is in a folder, of files and of folders."""
    found = {"files": set(), "folders": set()}
    for path in [folder, *folder.rglob("*")]:
        found["folders" if path.is_dir() else "files"].add(stat.S_IMODE(path.stat().st_mode))
    return found


@pytest.mark.parametrize(
    ("kind", "name", "left"),
    [
        ("synthetic", "imagenet1k", ".JPEG"),
        ("dvae", "", ".pt"),
        ("pretrain", "cae-pixels", ".safetensors"),
        ("knn", "cae-pixels", ".json"),
    ],
)
def test_what_a_job_leaves_has_the_users_permissions(quickstart, bench, umask, kind, name, left):
    job = quickstart.job(kind, name)
    link = bench.folder(job)
    link.unlink()
    folder = Store(bench.store).prepare(job)
    site = Site(device="cpu", checkpoint_minutes=1e-9)
    assert run_job(folder, bench.store, site) == "done"
    assert any(path.suffix == left for path in folder.rglob("*")), os.listdir(folder)
    assert modes(folder) == {"files": {0o666 & ~umask}, "folders": {0o777 & ~umask}}
    shutil.rmtree(folder)
