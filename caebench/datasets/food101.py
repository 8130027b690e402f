"""Food-101 (ECCV 2014): all images in a folder a class, and a list a split."""

import json
from pathlib import Path

from caebench.datasets.errors import DataError, read_json
from caebench.datasets.images import LIST_NAMES, ImageDataset, check_listed
from caebench.datasets.splits import SPLITS, Entry, Size, Split
from caebench.datasets.synthetic.canvas import Canvas
from caebench.datasets.synthetic.rendering import DIGITS, draw_dish

INNER = "food-101"


class Food101(ImageDataset):
    """As the meta file lists it; labels by class name."""

    def listed_in(self, split: Split) -> str:
        return f"{INNER}/meta/{LIST_NAMES[split]}.json"

    def entries(self, root: Path, split: Split, size: Size) -> list[Entry]:
        if not (root / INNER).is_dir():
            if (root / "meta").is_dir():
                do = f"Name the folder above it, {root.parent}, as torchvision does"
                raise DataError(root, f"this is {INNER} itself", do)
            raise DataError(root / INNER, "no such folder", self.source)
        meta = root / self.listed_in(split)
        listed = read_json(meta, self.source)
        if not isinstance(listed, dict) or not all(isinstance(paths, list) for paths in listed.values()):
            raise DataError(meta, "expected a JSON object of class name: list of images", self.source)
        labels = {name: label for label, name in enumerate(sorted(listed))}
        entries = [(f"{INNER}/images/{path}.jpg", labels[name]) for name, paths in listed.items() for path in paths]
        return check_listed(entries, meta, f"Restore the list. {self.source}")

    def render(self, canvas: Canvas) -> None:
        """Dishes are digits, plain or striped."""
        dishes = sorted(f"{family}_{digit}" for family in ("plain", "striped") for digit in DIGITS)
        for split in SPLITS:
            listed, meta = _render_split(canvas, split, dishes), f"{INNER}/meta/{LIST_NAMES[split]}"
            canvas.write(f"{meta}.json", json.dumps(listed))
            canvas.write_lines(f"{meta}.txt", (path for paths in listed.values() for path in paths))
        canvas.write_lines(f"{INNER}/meta/classes.txt", dishes)
        canvas.write_lines(f"{INNER}/meta/labels.txt", (dish.replace("_", " ").capitalize() for dish in dishes))


def _render_split(canvas: Canvas, split: Split, dishes: list[str]) -> dict[str, list[str]]:
    listed: dict[str, list[str]] = {dish: [] for dish in dishes}
    first_id = 1_000_000 if split == "train" else 2_000_000
    for index, rng in canvas.pictures(split):
        dish = dishes[index % len(dishes)]
        family, digit = dish.split("_")
        pixels = draw_dish(rng, split, DIGITS.index(digit), family == "striped", canvas.amount.pixels)
        listed[dish].append(f"{dish}/{first_id + index}")
        canvas.draw(f"{INNER}/images/{listed[dish][-1]}.jpg", pixels)
    return listed


FOOD101 = Food101(
    name="food101",
    published=Size(101, 75_750, 25_250),
    layout=f"the folder that holds {INNER}/",
    marks=(f"{INNER}/images/*", f"{INNER}/meta/*"),
    source="Get food-101.tar.gz from data.vision.ee.ethz.ch/cvl/datasets_extra/food-101",
    folder=".",
    purpose=3,
    num_rendered_classes=20,
)
