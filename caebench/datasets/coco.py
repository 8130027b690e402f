"""COCO 2017 (arXiv 1405.0312): pictures, and a file a split with a category, a box and a mask for each instance."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from caebench.datasets.errors import DataError, read_json
from caebench.datasets.inspection import Inspection
from caebench.datasets.instances import (
    Categories,
    categories_of,
    check_images,
    compare_categories,
    faults_of,
    read_description,
)
from caebench.datasets.pixels import PixelSize
from caebench.datasets.scenes import SceneDataset
from caebench.datasets.splits import SPLITS, Size, Split
from caebench.datasets.synthetic.canvas import Canvas
from caebench.datasets.synthetic.rendering import DIGITS, SCENE_DIGITS, Instance, bounding_box, draw_scene, run_lengths

RENDERED_IDS = (1, 2, 4)  # of categories: with a gap, as the published ids have
UNUSED_IDS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)  # COCO's own gaps
NAMES = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign, "
    "parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, "
    "handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, "
    "surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, "
    "broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, "
    "mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, "
    "teddy bear, hair drier, toothbrush"
)
PUBLISHED: Categories = dict(
    zip((one for one in range(1, 91) if one not in UNUSED_IDS), NAMES.split(", "), strict=True)
)


def _annotations(split: Split) -> str:
    return f"annotations/instances_{split}2017.json"


class COCO2017(SceneDataset):
    """Instances, in COCO's own format."""

    def places(self, split: Split) -> tuple[str, str]:
        return f"{split}2017", _annotations(split)

    def classes(self, root: Path, split: Split, size: Size) -> tuple[str, ...]:
        """By id, as both splits number them; the order in the file means nothing."""
        categories = categories_of(read_json(root / _annotations(split), self.source))
        return tuple(categories[identity] for identity in sorted(categories))

    def inspect(self, inspection: Inspection) -> None:
        """The annotations, too."""
        root = inspection.root
        if not (root / "annotations").exists() and (root / "coco" / "annotations").is_dir():
            inspection.add("root", root, "the folder above coco", f"Name {root / 'coco'} in the site file")
            return
        sizes: dict[Path, PixelSize] = {}
        categories: dict[Split, Categories] = {}
        for split in SPLITS:
            described = _read_instances(split, inspection)
            if described is None:
                continue
            inspection.compare_count(split, len(described["images"]))
            categories[split] = categories_of(described)
            _check_instances(split, described, inspection)
            num_instances = Counter(str(annotation.get("image_id")) for annotation in described["annotations"])
            for image in described["images"]:
                path = f"{split}2017/{image['file_name']}"
                sizes[root / path] = (image["width"], image["height"])
                inspection.marks.append((path, num_instances[str(image["id"])]))
        _check_categories(categories, inspection)
        check_images(sizes, inspection)

    def render(self, canvas: Canvas) -> None:
        """Three digits."""
        size, names = canvas.amount.pixels, DIGITS[:SCENE_DIGITS]
        for split in SPLITS:
            images, annotations = list[dict[str, Any]](), list[dict[str, Any]]()
            first_id = 1 if split == "train" else 500_001
            for index, rng in canvas.pictures(split):
                image_id, scene = first_id + index, draw_scene(rng, split, size)
                file_name = f"{image_id:012d}.jpg"
                canvas.draw(f"{split}2017/{file_name}", scene.pixels)
                images.append({"id": image_id, "file_name": file_name, "height": size, "width": size, "license": 1})
                annotations += [_annotation(10 * image_id + n, image_id, one) for n, one in enumerate(scene.instances)]
            categories = [
                {"id": identity, "name": name, "supercategory": "digit"}
                for identity, name in zip(RENDERED_IDS, names, strict=True)
            ]
            described = {
                "info": {"description": "caebench synthetic data", "version": "1.0", "year": 2017},
                "licenses": [{"id": 1, "name": "BSD-3-Clause (scikit-learn, scikit-image)", "url": ""}],
                **{"images": images, "annotations": annotations, "categories": categories},
            }
            canvas.write(_annotations(split), json.dumps(described))


def _annotation(annotation_id: int, image_id: int, instance: Instance) -> dict[str, Any]:
    """One annotation; an uncompressed run-length mask keeps the holes that polygons would fill."""
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": RENDERED_IDS[instance.digit],
        "bbox": bounding_box(instance.mask),
        "area": int(instance.mask.sum()),
        "iscrowd": 0,
        "segmentation": {"size": list(instance.mask.shape), "counts": run_lengths(instance.mask)},
    }


def _read_instances(split: Split, inspection: Inspection) -> dict[str, Any] | None:
    path = inspection.root / _annotations(split)
    do = f"Unpack annotations_trainval2017.zip again. {inspection.source}"
    try:
        return read_description(path, do)
    except DataError as error:
        return inspection.add_error(error)


def _check_categories(found: dict[Split, Categories], inspection: Inspection) -> None:
    """Categories go by id and name: those of both splits are equal, and the published ones where there are as many."""
    do = f"Use the published annotation files. {inspection.source}"
    for split, categories in found.items():
        path = inspection.root / _annotations(split)
        if inspection.size.num_classes == len(PUBLISHED) == len(categories):
            compare_categories(path, categories, "COCO", PUBLISHED, do, inspection)
    if len(found) == len(SPLITS):
        train, val = (inspection.root / _annotations(split) for split in SPLITS)
        compare_categories(val, found["val"], str(train), found["train"], do, inspection)


def _check_instances(split: Split, described: dict[str, Any], inspection: Inspection) -> None:
    where = f"{inspection.root / _annotations(split)}"
    do = f"Use the published annotation file. {inspection.source}"
    categories = categories_of(described)
    shapes = {image["id"]: [image["height"], image["width"]] for image in described["images"]}
    if len(categories) != inspection.size.num_classes:
        what = f"{len(categories)} categories, expected {inspection.size.num_classes}"
        inspection.add("number of categories", where, what, do)
    for annotation in described["annotations"]:
        for kind, what in faults_of(annotation, categories, shapes):
            inspection.add(kind, f"{where}, annotation {annotation['id']}", what, do)


COCO = COCO2017(
    name="coco",
    published=Size(80, 118_287, 5_000),
    layout="the folder that holds train2017/, val2017/ and annotations/",
    marks=("train2017/*", "val2017/*", *(str(_annotations(split)) for split in SPLITS)),
    source="Get train2017.zip, val2017.zip and annotations_trainval2017.zip from cocodataset.org",
    folder="coco",
    purpose=11,
    num_rendered_classes=len(RENDERED_IDS),
    labels="instances",
)
