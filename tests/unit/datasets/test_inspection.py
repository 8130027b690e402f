"""What lies hidden among the images is no image, and may be deleted."""

import shutil

import pytest

from caebench.datasets.registry import DATASETS, PUBLISHED

PLACES = {
    "imagenet1k": ("imagenet", "train/n00000003", "train"),
    "imagenet_v2": ("imagenetv2", "3", "."),
    "ade20k": ("ADEChallengeData2016", "images/training", "annotations/validation"),
}
LEFT = (".DS_Store", "._a.JPEG", "._a.jpg", "._a.png", "Thumbs.db", ".nfs0001")


@pytest.mark.parametrize("name", PLACES)
def test_hidden_files_and_folders_are_no_images_and_are_noted(name, world_root, tmp_path, small_world):
    world = shutil.copytree(world_root, tmp_path / "world")
    roots = {name: world / known.folder for name, known in DATASETS.items()}
    known, (folder, *places) = PUBLISHED[name], PLACES[name]
    size = known.rendered(small_world.amount(name))
    before = known.check(roots, size)
    for place in places:
        for left in LEFT:
            (world / folder / place / left).write_bytes(b"\0")
        (world / folder / place / ".Trash").mkdir()
        (world / folder / place / ".Trash" / "a.jpeg").write_bytes(b"\0")
    report = known.check(roots, size)
    assert report.ok, report.problems
    assert report.fingerprint == before.fingerprint and report.counts == before.counts
    first = min(world / folder / place / ".DS_Store" for place in places)
    assert report.notes == [f"hidden files, which are not read: {7 * len(places)}, such as {first}. Delete them"]
