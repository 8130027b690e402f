"""Render the embedded world: small pictures in the on-disk layouts of the real data sets.

`imagenet/`, `food-101/`, `domainnet/`, `ADEChallengeData2016/` and `coco/` below one root, as their publishers lay
them out, so that the same readers serve both; `broad/`, pictures of every kind, is laid out as `imagenet/` is. A
picture depends on `(seed, purpose, index)` alone: neither on how many there are nor on the order they are drawn in.
Nothing here says that a render is complete; the job's result does.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from PIL import Image

from caebench.config.data import EmbeddedData, EmbeddedName, Split, World, size_of
from caebench.data.errors import DataError
from caebench.data.materials import Mask
from caebench.data.rendering import (
    FIRST_DIGIT_LABEL,
    GROUNDS,
    SCENE_DIGITS,
    Instance,
    Pixels,
    draw_clipart,
    draw_dish,
    draw_object,
    draw_photograph,
    draw_scene,
    draw_sketch,
)

MARKER = "world.json"  # which world a root holds: written first, so that two worlds never mix
LAYOUTS = ("imagenet", "food-101", "domainnet", "ADEChallengeData2016", "coco", "broad")
NAMES: tuple[EmbeddedName, ...] = get_args(EmbeddedName)
JPEG_QUALITY = 90
SPLITS: tuple[Split, ...] = ("train", "val")

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
WNIDS = tuple(f"n{digit:08d}" for digit in range(10))
DISHES = tuple(sorted(f"{family}_{digit}" for family in ("plain", "striped") for digit in DIGITS))
DOMAIN_CLASSES = tuple(sorted(DIGITS))  # DomainNet numbers its classes alphabetically
SCENE_CLASSES = (*GROUNDS, *DIGITS[:SCENE_DIGITS])  # label 1 is the first; 0 is "other"
COCO_IDS = (1, 2, 4)  # with a gap, as the published ids have

PURPOSES = {  # the second number of every picture's seed: never reuse one
    ("imagenet", "train"): 1,
    ("imagenet", "val"): 2,
    ("food101", "train"): 3,
    ("food101", "val"): 4,
    ("clipart", "train"): 5,
    ("clipart", "val"): 6,
    ("sketch", "train"): 7,
    ("sketch", "val"): 8,
    ("ade20k", "train"): 9,
    ("ade20k", "val"): 10,
    ("coco", "train"): 11,
    ("coco", "val"): 12,
    ("broad", "train"): 13,
    ("broad", "val"): 14,
}
KINDS = ("clipart", "object", "photograph", "scene", "sketch")  # of picture in the broad set, in turn

Tick = Callable[[], None]


def render(
    world: World,
    root: Path,
    progress: Callable[[int, int], None] | None = None,
    names: Sequence[EmbeddedName] = NAMES,
) -> None:
    """Write layouts of the world below `root`; run again over a half-written root, it ends in the same files."""
    _claim(world, root)
    sizes = [size_of(EmbeddedData(kind="embedded", name=name, world=world)) for name in names]
    tick = _ticker(sum(size.train + size.val for size in sizes), progress)
    for name in names:
        _write(name, world, root, tick)


def _write(name: EmbeddedName, world: World, root: Path, tick: Tick) -> None:
    if name == "ade20k":
        _write_ade20k(world, root / "ADEChallengeData2016", tick)
        return
    for split in SPLITS:
        match name:
            case "imagenet1k":
                _write_imagenet(world, root / "imagenet", split, tick)
            case "food101":
                _write_food101(world, root / "food-101", split, tick)
            case "clipart" | "sketch":
                _write_domain(world, root / "domainnet", name, split, tick)
            case "coco":
                _write_coco(world, root / "coco", split, tick)
            case "broad":
                _write_broad(world, root / "broad", split, tick)


def _claim(world: World, root: Path) -> None:
    marker, description = root / MARKER, world.model_dump_json(indent=2) + "\n"
    if marker.exists():
        if marker.read_text(encoding="utf8") != description:
            raise DataError(
                root, f"holds another world (see {MARKER})", "Render into an empty folder, or delete this one"
            )
        return
    present = [name for name in LAYOUTS if (root / name).exists()]
    if present:
        raise DataError(root, f"holds {', '.join(present)}, not rendered here", "Render into an empty folder")
    root.mkdir(parents=True, exist_ok=True)
    _write_text(marker, description)


def _ticker(total: int, progress: Callable[[int, int], None] | None) -> Tick:
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    return tick


def _samples(world: World, layout: str, split: Split) -> Iterator[tuple[int, np.random.Generator]]:
    """Each picture's index and its own generator."""
    scenes = layout in ("ade20k", "coco")
    if scenes:
        num = world.num_scenes_train if split == "train" else world.num_scenes_val
    else:
        num = world.num_train if split == "train" else world.num_val
    for index in range(num):
        yield index, np.random.default_rng([world.seed, PURPOSES[layout, split], index])


def _write_imagenet(world: World, folder: Path, split: Split, tick: Tick) -> None:
    _make_folders(folder / split, WNIDS)
    for index, rng in _samples(world, "imagenet", split):
        digit = index % 10
        name = f"{WNIDS[digit]}_{index}" if split == "train" else f"ILSVRC2012_val_{index + 1:08d}"
        _write_image(folder / split / WNIDS[digit] / f"{name}.JPEG", draw_object(rng, split, digit, world.image_size))
        tick()


def _write_broad(world: World, folder: Path, split: Split, tick: Tick) -> None:
    _make_folders(folder / split, KINDS)
    for index, rng in _samples(world, "broad", split):
        kind, digit = KINDS[index % len(KINDS)], int(rng.integers(10))
        pixels = _draw(kind, rng, split, digit, world.image_size)
        _write_image(folder / split / kind / f"{kind}_{index}.JPEG", pixels)
        tick()


def _draw(kind: str, rng: np.random.Generator, split: Split, digit: int, size: int) -> Pixels:
    match kind:
        case "photograph":
            return draw_photograph(rng, split, size)
        case "scene":
            return draw_scene(rng, split, size).pixels
        case _:
            return {"object": draw_object, "clipart": draw_clipart, "sketch": draw_sketch}[kind](
                rng, split, digit, size
            )


def _write_food101(world: World, folder: Path, split: Split, tick: Tick) -> None:
    _make_folders(folder / "images", DISHES)
    listed: dict[str, list[str]] = {dish: [] for dish in DISHES}
    first_id = 1_000_000 if split == "train" else 2_000_000
    for index, rng in _samples(world, "food101", split):
        dish = DISHES[index % len(DISHES)]
        family, digit = dish.split("_")
        pixels = draw_dish(rng, split, DIGITS.index(digit), family == "striped", world.image_size)
        listed[dish].append(f"{dish}/{first_id + index}")
        _write_image(folder / "images" / f"{listed[dish][-1]}.jpg", pixels)
        tick()
    meta, name = folder / "meta", "train" if split == "train" else "test"
    _make_folders(folder, ("meta",))
    _write_text(meta / "classes.txt", _lines(DISHES))
    _write_text(meta / "labels.txt", _lines(dish.replace("_", " ").capitalize() for dish in DISHES))
    _write_text(meta / f"{name}.json", json.dumps(listed))
    _write_text(meta / f"{name}.txt", _lines(path for paths in listed.values() for path in paths))


def _write_domain(world: World, folder: Path, domain: str, split: Split, tick: Tick) -> None:
    _make_folders(folder / domain, DOMAIN_CLASSES)
    draw = {"clipart": draw_clipart, "sketch": draw_sketch}[domain]
    first_id = 1 if split == "train" else 500_001
    listed: list[str] = []
    for index, rng in _samples(world, domain, split):
        label = index % len(DOMAIN_CLASSES)
        name = DOMAIN_CLASSES[label]
        path = f"{domain}/{name}/{domain}_{label + 1:03d}_{first_id + index:06d}.jpg"
        listed.append(f"{path} {label}")
        _write_image(folder / path, draw(rng, split, DIGITS.index(name), world.image_size))
        tick()
    listed.sort(key=lambda line: int(line.rsplit(" ", 1)[1]))  # stable: by class, as published
    _write_text(folder / f"{domain}_{'train' if split == 'train' else 'test'}.txt", _lines(listed))


def _write_ade20k(world: World, folder: Path, tick: Tick) -> None:
    num_pixels = np.zeros(len(SCENE_CLASSES) + 1, np.int64)
    num_images = {split: np.zeros(len(SCENE_CLASSES) + 1, np.int64) for split in SPLITS}
    for split in SPLITS:
        long_name = "training" if split == "train" else "validation"
        _make_folders(folder, (f"images/{long_name}", f"annotations/{long_name}"))
        for index, rng in _samples(world, "ade20k", split):
            name = f"ADE_{split}_{index + 1:08d}"
            scene = draw_scene(rng, split, world.scene_size)
            _write_image(folder / "images" / long_name / f"{name}.jpg", scene.pixels)
            Image.fromarray(scene.labels).save(folder / "annotations" / long_name / f"{name}.png")
            counts = np.bincount(scene.labels.ravel(), minlength=len(SCENE_CLASSES) + 1)
            num_pixels += counts
            num_images[split] += counts > 0
            tick()
    ratios = num_pixels / num_pixels.sum()
    rows = [["Idx", "Ratio", "Train", "Val", "Stuff", "Name"]]
    for label, name in enumerate(SCENE_CLASSES, start=1):
        seen = [str(num_images[split][label]) for split in SPLITS]
        rows.append([str(label), f"{ratios[label]:.4f}", *seen, str(int(label < FIRST_DIGIT_LABEL)), name])
    _write_text(folder / "objectInfo150.txt", _lines("\t".join(row) for row in rows))


def _write_coco(world: World, folder: Path, split: Split, tick: Tick) -> None:
    _make_folders(folder, (f"{split}2017", "annotations"))
    first_id = 1 if split == "train" else 500_001
    size = world.scene_size
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index, rng in _samples(world, "coco", split):
        image_id = first_id + index
        file_name = f"{image_id:012d}.jpg"
        scene = draw_scene(rng, split, size)
        _write_image(folder / f"{split}2017" / file_name, scene.pixels)
        images.append({"id": image_id, "file_name": file_name, "height": size, "width": size, "license": 1})
        annotations += [_annotation(10 * image_id + n, image_id, found) for n, found in enumerate(scene.instances)]
        tick()
    described = {
        "info": {"description": "caebench embedded world", "version": "1.0", "year": 2017},
        "licenses": [{"id": 1, "name": "BSD-3-Clause (scikit-learn, scikit-image)", "url": ""}],
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": identity, "name": name, "supercategory": "digit"}
            for identity, name in zip(COCO_IDS, DIGITS[:SCENE_DIGITS], strict=True)
        ],
    }
    _write_text(folder / "annotations" / f"instances_{split}2017.json", json.dumps(described))


def _annotation(annotation_id: int, image_id: int, instance: Instance) -> dict[str, Any]:
    """One COCO annotation; an uncompressed run-length mask keeps the holes that polygons would fill."""
    columns, rows = np.flatnonzero(instance.mask.any(axis=0)), np.flatnonzero(instance.mask.any(axis=1))
    x, y = int(columns[0]), int(rows[0])
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": COCO_IDS[instance.digit],
        "bbox": [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1],
        "area": int(instance.mask.sum()),
        "iscrowd": 0,
        "segmentation": {"size": list(instance.mask.shape), "counts": run_lengths(instance.mask)},
    }


def run_lengths(mask: Mask) -> list[int]:
    """COCO's uncompressed run lengths: column by column, starting with the zeros (none of them, perhaps)."""
    flat = np.concatenate([[False], mask.ravel(order="F")])
    starts = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff([0, *starts.tolist(), mask.size]).tolist()


def _make_folders(parent: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (parent / name).mkdir(parents=True, exist_ok=True)


def _write_image(path: Path, pixels: Pixels) -> None:
    Image.fromarray(pixels).save(path, "JPEG", quality=JPEG_QUALITY)


def _write_text(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf8")
    os.replace(partial, path)


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
