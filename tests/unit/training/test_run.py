"""What a job opens: both splits of a data set with labels below the image number its classes alike."""

from dataclasses import replace

import pytest

from caebench.datasets.ade20k import ADE20K150
from caebench.datasets.errors import DataError
from caebench.specs.inputs.dataset import SyntheticData
from caebench.specs.site import Site
from caebench.training.distributed import join_group
from caebench.training.run import Run


def test_classes_in_another_order_in_validation_are_an_error(world_root, small_world, tmp_path, monkeypatch):
    (tmp_path / "world").symlink_to(world_root)
    (tmp_path / "result.json").write_text("{}")
    data = SyntheticData(kind="synthetic", name="ade20k", world=small_world)
    run = Run(tmp_path, {"data": tmp_path}, Site(device="cpu"), join_group("cpu"))
    train, val = run.open_scenes(data)
    assert train.classes == val.classes and len(val.classes) == 5
    read = ADE20K150.read

    def turned(self, roots, split, size):
        found = read(self, roots, split, size)
        return replace(found, classes=found.classes[::-1]) if split == "val" else found

    monkeypatch.setattr(ADE20K150, "read", turned)
    with pytest.raises(DataError, match="Number the classes of both splits alike") as caught:
        run.open_scenes(data)
    first, *_, last = train.classes
    assert f"its classes are {last}, " in caught.value.what and f" are {first}, " in caught.value.what
