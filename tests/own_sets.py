"""Small data sets in the formats of users, as their tools would leave them."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from caebench.datasets.base import Dataset, Roots
from caebench.datasets.own.formats import own_dataset
from caebench.datasets.own.layout import Layout

SIDE = 48  # pixels of a picture
CLASSES = ("ground", "cell", "rim")


def own(root: Path, form: str, **fields: Any) -> tuple[Dataset, Roots]:
    """A data set called `mine`, and where it is."""
    return own_dataset("mine", Layout(form, **fields)), {"mine": root}


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (SIDE, SIDE)) -> Path:
    """A picture of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)).save(path)
    return path


def make_folders(root: Path) -> Path:
    """Pictures of three classes in folders a class, below folders a split."""
    for number in range(18):
        split, label = "train" if number < 12 else "val", number % 3
        picture(root / split / f"class {label}" / f"{number}.png", number)
    return root


def make_lists(root: Path, train: str = "train.txt", val: str | None = "val.txt", num: int = 6) -> Path:
    """Pictures of three classes, and a list a split, whose lines are `path label`."""
    lines: dict[str, list[str]] = {train: [], **({val: []} if val else {})}
    for number in range(num):
        for label in range(3):
            name = f"pictures/{label} of {number}.png"
            picture(root / name, 3 * number + label)
            lines[val if val and number >= num - 2 else train].append(f"{name} {label}")
    for name, listed in lines.items():
        (root / name).write_text("\n".join(listed) + "\n")
    return root


def make_parquet(root: Path, splits: Sequence[str] = ("train", "test"), num: int = 12, **columns: str) -> Path:
    """Two files a split, as `push_to_hub` writes them."""
    import pyarrow
    from pyarrow import parquet

    image, label = columns.get("image", "image"), columns.get("label", "label")
    described = {"info": {"features": {image: {"_type": "Image"}, label: {"names": list(CLASSES)}}}}
    (root / "data").mkdir(parents=True)
    for split in splits:
        for shard in range(2):
            rows = [_encoded(100 * shard + row) for row in range(num // 2)]
            table = pyarrow.table(
                {image: rows, label: pyarrow.array([row % 3 for row in range(len(rows))], pyarrow.int64())}
            ).replace_schema_metadata({"huggingface": json.dumps(described)})
            path = root / "data" / f"{split}-{shard:05d}-of-00002.parquet"
            parquet.write_table(table, path, compression="none")
    return root


def _encoded(seed: int) -> dict[str, Any]:
    written = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)).save(written, "JPEG")
    return {"bytes": written.getvalue(), "path": f"{seed}.jpg"}


def mask(path: Path, seed: int = 0, size: tuple[int, int] = (SIDE, SIDE), top: int = 2) -> Path:
    """A mask in stripes of the classes, with an ignored rim."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    values = (np.arange(height)[:, None] // 8 + np.zeros((1, width), int) + seed) % (top + 1)
    values[0] = 255
    Image.fromarray(values.astype(np.uint8)).save(path)
    return path


def make_scenes(
    root: Path, layout: str = "{kind}/{split}", kinds: Sequence[str] = ("images", "masks"), num: int = 6
) -> Path:
    """Pictures and masks of three classes, a third of them for validation where the layout has splits."""
    for number in range(num):
        split = "val" if number >= num - 2 else "train"
        image, masks = (root / layout.format(kind=kind, split=split) for kind in kinds)
        picture(image / f"{number}.jpg", number)
        mask(masks / f"{number}.png", number)
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    return root


def describe(names: Sequence[str], first_id: int = 1) -> dict[str, Any]:
    """An annotation file with two objects a picture, which are polygons."""
    images = [{"id": one, "file_name": name, "width": SIDE, "height": SIDE} for one, name in enumerate(names, 1)]
    annotations = [
        {
            "id": first_id + 2 * number + which,
            "image_id": image["id"],
            "category_id": 1 + which,
            "bbox": [4 + 20 * which, 4, 16, 24],
            "area": 16 * 24,
            "iscrowd": 0,
            "segmentation": [[4 + 20 * which, 4, 20 + 20 * which, 4, 20 + 20 * which, 28, 4 + 20 * which, 28]],
        }
        for number, image in enumerate(images)
        for which in range(2)
    ]
    categories = [{"id": 1, "name": "cell"}, {"id": 2, "name": "rim"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def make_objects(
    root: Path,
    file: str = "annotations/instances_{split}2017.json",
    folder: str = "{split}2017",
    splits: Sequence[str] = ("train", "val"),
    first_id: int = 1,
) -> Path:
    """Pictures with two objects each."""
    for split, num in zip(splits, (4, 2), strict=True):
        names = [f"{split}{number}.jpg" for number in range(num)]
        for number, name in enumerate(names):
            picture(root / folder.format(split=split) / name, number)
        path = root / file.format(split=split)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(describe(names, first_id)))
    return root
