"""The section [slurm], and the stores that its jobs can use."""

from pathlib import Path

import pytest

from caebench.specs.site import Site
from caebench.specs.slurm import Slurm, check_store

WRONG = [
    ("/a:b", "store is '/a:b': ':' cannot be in it, because it separates folders in PYTHONPATH. Choose another folder"),
    ("/a%jb", "store is '/a%jb': '%' cannot be in it, because SLURM replaces it in the names of logs. Choose another"),
]


@pytest.mark.parametrize(("store", "said"), WRONG)
def test_a_store_whose_path_cannot_stand_in_a_script_is_refused(store, said):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the text is compared below
        check_store(Path(store))
    assert str(caught.value).startswith(said)
    with pytest.raises(ValueError, match="cannot be in it"):
        Site(store=Path(store), shared_store=True, slurm=Slurm())
    assert Site(store=Path(store)).store == Path(store), "jobs on this machine need no script"


def test_a_store_below_such_a_folder_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a%j").mkdir()
    monkeypatch.chdir(tmp_path / "a%j")
    with pytest.raises(ValueError, match="/a%j/store': '%' cannot be in it"):
        check_store(Path("store"))


@pytest.mark.parametrize("store", ["/a b", "/a$", "/a`id`", "/a'b", '/a"b'])
def test_a_store_whose_path_can_be_quoted_is_accepted(store):
    assert Site(store=Path(store), shared_store=True, slurm=Slurm()).store == Path(store)
