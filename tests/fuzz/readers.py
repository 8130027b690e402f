"""Readers that only jobs call: a command line of the fuzzer names one with `@`, and its errors end as a command's."""

import sys
from collections.abc import Callable
from pathlib import Path

from caebench.cli import _line
from caebench.cli.options import say


def read_image(path: str) -> None:
    """As every task of whole images, in both ways of reading."""
    from caebench.data.loading import open_image, read_pixels

    open_image(path)
    read_pixels(path)


def read_scene(picture: str, labels: str) -> None:
    """As the dense tasks do."""
    from caebench.tasks.dense.reading import ReadLabelMap, ReadPicture

    sample = {"img_path": picture, "seg_map_path": labels, "seg_fields": [], "reduce_zero_label": True}
    ReadLabelMap(5).transform(ReadPicture().transform(sample))


def read_dataset(name: str, root: str) -> None:
    """As a job that takes a data set, at the size of the rendered one."""
    from caebench.datasets.registry import DATASETS
    from caebench.datasets.splits import SPLITS
    from tests.fuzz.kinds.annotations import AMOUNTS

    known = DATASETS[name]
    for split in SPLITS:
        known.open({name: Path(root)}, split, known.rendered(AMOUNTS[name]))


def check_dataset(name: str, root: str) -> None:
    """As `data check`, of a set that is as large as the rendered one."""
    from caebench.datasets.registry import DATASETS
    from caebench.report.datasets import report_lines
    from tests.fuzz.kinds.annotations import AMOUNTS

    known = DATASETS[name]
    say("\n".join(report_lines(known.check({name: Path(root)}, known.rendered(AMOUNTS[name])))))


def read_objects(root: str) -> None:
    """As detection does: once the check has passed, every mask of COCO's is drawn."""
    from caebench.tasks.dense.detection import ById, silence
    from tests.fuzz.kinds.annotations import AMOUNTS

    read_dataset("coco", root)
    assert AMOUNTS["coco"].train < 100, "a few masks"
    for split in ("train", "val"):
        with silence():
            known = ById(f"{root}/annotations/instances_{split}2017.json")
        for one in known.dataset["annotations"]:
            image = known.imgs[one["image_id"]]
            if max(image["height"], image["width"]) < 1000:  # a job's pictures are as large as said, and these are not
                known.annToMask(one)


def do_wrong(name: str) -> None:
    """What no reader does: the oracle's own test."""
    from tests.fuzz.kinds.planted import plant

    plant(name)


READERS: dict[str, Callable[..., None]] = {
    "@image": read_image,
    "@scene": read_scene,
    "@dataset": read_dataset,
    "@check": check_dataset,
    "@objects": read_objects,
    "@planted": do_wrong,
}


def enter(arguments: list[str]) -> None:
    """Call a reader as `caebench.cli.main` calls a verb."""
    try:
        READERS[arguments[0]](*arguments[1:])
    except (ValueError, OSError) as error:
        say(f"error: {_line(error)}", to=sys.stderr)
        raise SystemExit(2) from error
    raise SystemExit(0)
