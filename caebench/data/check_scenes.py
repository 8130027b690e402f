"""Check the two sets with labels below the image: ADE20K (SceneParse-150) and COCO 2017."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from caebench.config.data import Split
from caebench.data.inspection import Decoded, Inspection

SPLITS: tuple[Split, ...] = ("train", "val")
ADE20K_FOLDERS: dict[Split, str] = {"train": "training", "val": "validation"}
FULL_ADE20K = (
    "This benchmark uses SceneParse-150: get ADEChallengeData2016.zip from sceneparsing.csail.mit.edu "
    "and name the folder ADEChallengeData2016"
)

Counts = dict[str, int]
Marks = list[tuple[str, int | str]]


def check_ade20k(inspection: Inspection) -> tuple[Counts, Marks]:
    """Pairs of image and label map; label 0 is "other" and 1 to 150 are the classes."""
    root = inspection.root
    if (root / "ADEChallengeData2016").is_dir():
        do = f"Name {root / 'ADEChallengeData2016'} in the site file"
        inspection.add("root", root, "the folder above ADEChallengeData2016", do)
        return {}, []
    sign = _sign_of_full_ade20k(root)
    if sign:
        inspection.add("full ADE20K", sign, "this is the full ADE20K, expected SceneParse-150", FULL_ADE20K)
        return {}, []
    counts: Counts = {}
    marks: Marks = []
    pairs: list[tuple[Path, Path]] = []
    for split in SPLITS:
        found = _ade20k_pairs(split, inspection)
        if found is not None:
            counts[split] = len(found)
            pairs += found
    marks += [(image.relative_to(root).as_posix(), label.relative_to(root).as_posix()) for image, label in pairs]
    if inspection.decode:
        _check_label_maps(pairs, inspection)
    return counts, marks


def _sign_of_full_ade20k(root: Path) -> Path | None:
    """Something that only the full ADE20K has: scene folders, `_seg.png` files, its index."""
    if root.name.startswith("ADE20K_20"):
        return root
    for pattern in ("ADE20K_20*", "index_ade20k.*"):
        found = sorted(root.glob(pattern))
        if found:
            return found[0]
    for folder in (root / "images/training", root / "images/validation", root / "annotations/training"):
        entries = list(os.scandir(folder)) if folder.is_dir() else []
        signs = [entry.name for entry in entries if entry.name.endswith("_seg.png") or entry.is_dir()]
        if signs:
            return folder / min(signs)
    return None


def _files(folder: Path, suffix: str) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob(f"*{suffix}"))}


def _ade20k_pairs(split: Split, inspection: Inspection) -> list[tuple[Path, Path]] | None:
    """Image and label map of the same name; a half that lacks the other is a problem. None without folders."""
    folders = [inspection.root / kind / ADE20K_FOLDERS[split] for kind in ("images", "annotations")]
    do = f"Unpack the archive again. {inspection.facts.source}"
    absent = [folder for folder in folders if not folder.is_dir()]
    for folder in absent:
        inspection.add("folders", folder, f"no such folder: the {split} split needs it", do)
    if absent:
        return None
    images, labels = _files(folders[0], ".jpg"), _files(folders[1], ".png")
    names = sorted(images.keys() | labels.keys())
    for name in names:
        if name not in labels:
            inspection.add("missing label maps", folders[1] / f"{name}.png", f"no such file, for {images[name]}", do)
        elif name not in images:
            inspection.add("missing images", folders[0] / f"{name}.jpg", f"no such file, for {labels[name]}", do)
    inspection.compare_count(split, len(names))
    return [(images[name], labels[name]) for name in names if name in images and name in labels]


def _check_label_maps(pairs: list[tuple[Path, Path]], inspection: Inspection) -> None:
    sizes: dict[Path, tuple[int, int]] = {}
    image_of = {label: image for image, label in pairs}
    for path, found in inspection.decoded([path for pair in pairs for path in pair]):
        if path not in image_of:
            inspection.modes[found.mode] += 1
            sizes[path] = found.size
        else:
            _check_label_map(path, found, sizes.pop(image_of[path], None), inspection)


def _check_label_map(path: Path, found: Decoded, size: tuple[int, int] | None, inspection: Inspection) -> None:
    num_classes = inspection.facts.classes
    if found.mode not in ("L", "P"):
        what = f"a label map of mode {found.mode}, expected one channel of 8 bits"
        inspection.add("label maps of another kind", path, what, FULL_ADE20K)
    elif found.top_value > num_classes:
        what = f"label {found.top_value}, expected 0 (other) to {num_classes}"
        inspection.add("labels out of range", path, what, FULL_ADE20K)
    if size is not None and size != found.size:
        what = f"{found.size[0]}x{found.size[1]} pixels, where its image has {size[0]}x{size[1]}"
        inspection.add("sizes that differ", path, what, f"Unpack both again. {inspection.facts.source}")


def check_coco(inspection: Inspection) -> tuple[Counts, Marks]:
    """Images, and instances with a category, a box and a mask each."""
    root = inspection.root
    if not (root / "annotations").exists() and (root / "coco" / "annotations").is_dir():
        inspection.add("root", root, "the folder above coco", f"Name {root / 'coco'} in the site file")
        return {}, []
    counts: Counts = {}
    marks: Marks = []
    sizes: dict[Path, tuple[int, int]] = {}
    for split in SPLITS:
        described = _read_instances(split, inspection)
        if described is None:
            continue
        counts[split] = len(described["images"])
        inspection.compare_count(split, counts[split])
        _check_instances(split, described, inspection)
        num_instances = Counter(annotation.get("image_id") for annotation in described["annotations"])
        for image in described["images"]:
            path = f"{split}2017/{image['file_name']}"
            sizes[root / path] = (image["width"], image["height"])
            marks.append((path, num_instances[image["id"]]))
    _check_coco_images(sizes, inspection)
    return counts, marks


def _read_instances(split: Split, inspection: Inspection) -> dict[str, Any] | None:
    path = inspection.root / "annotations" / f"instances_{split}2017.json"
    do = f"Unpack annotations_trainval2017.zip again. {inspection.facts.source}"
    if not path.is_file():
        inspection.add("annotations", path, f"no such file: it describes the {split} images", do)
        return None
    try:
        described = json.loads(path.read_text(encoding="utf8"))
    except ValueError as error:
        inspection.add("annotations", path, f"not readable as JSON ({error})", do)
        return None
    fault = _fault_of_description(described)
    if fault:
        inspection.add("annotations", path, fault, do)
        return None
    return described


def _fault_of_description(described: Any) -> str:
    """What makes the file as a whole unusable, or nothing."""
    if not isinstance(described, dict):
        return "expected a JSON object"
    absent = [key for key in ("images", "annotations", "categories") if not isinstance(described.get(key), list)]
    if absent:
        return f"no list of {', '.join(absent)}"
    for image in described["images"]:
        lacking = [key for key in ("id", "file_name", "width", "height") if key not in image]
        if lacking:
            return f"an image without {', '.join(lacking)}: {image}"
    return ""


def _check_instances(split: Split, described: dict[str, Any], inspection: Inspection) -> None:
    where = f"{inspection.root / 'annotations' / f'instances_{split}2017.json'}"
    do = f"Use the published annotation file. {inspection.facts.source}"
    categories = {category.get("id") for category in described["categories"]}
    images = {image.get("id") for image in described["images"]}
    if len(categories) != inspection.facts.classes:
        what = f"{len(categories)} categories, expected {inspection.facts.classes}"
        inspection.add("number of categories", where, what, do)
    for annotation in described["annotations"]:
        for kind, what in _faults(annotation, categories, images):
            inspection.add(kind, f"{where}, annotation {annotation.get('id')}", what, do)


def _faults(annotation: dict[str, Any], categories: set[Any], images: set[Any]) -> list[tuple[str, str]]:
    faults: list[tuple[str, str]] = []
    if annotation.get("category_id") not in categories:
        faults.append(("unknown categories", f"category_id {annotation.get('category_id')}, which no category has"))
    if annotation.get("image_id") not in images:
        faults.append(("unknown images", f"image_id {annotation.get('image_id')}, which no image has"))
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        faults.append(("boxes", f"bbox {box}, expected [x, y, width, height]"))
    if not _has_mask(annotation.get("segmentation")):
        faults.append(("instances without a mask", "no mask, expected polygons or run lengths in 'segmentation'"))
    return faults


def _has_mask(segmentation: Any) -> bool:
    """Whether it is run lengths with a pixel set, or polygons of which at least one has three corners."""
    if isinstance(segmentation, dict):
        counts = segmentation.get("counts")
        inside = any(counts[1::2]) if isinstance(counts, list) else bool(counts)  # zeros come first; text is compressed
        return inside and len(segmentation.get("size", ())) == 2
    return isinstance(segmentation, list) and any(len(polygon) >= 6 for polygon in segmentation)


def _check_coco_images(sizes: dict[Path, tuple[int, int]], inspection: Inspection) -> None:
    paths = inspection.existing(sizes, "the annotations")
    if not inspection.decode:
        return
    for path, image in inspection.decoded(paths):
        inspection.modes[image.mode] += 1
        if image.size != sizes[path]:
            width, height = sizes[path]
            what = f"{image.size[0]}x{image.size[1]} pixels, where the annotations say {width}x{height}"
            inspection.add("sizes that differ", path, what, f"Unpack the image again. {inspection.facts.source}")
