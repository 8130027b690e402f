"""What says what is in pictures: COCO's JSON, ADE20K's label maps and class list, and lists of images."""

import io
import json
from pathlib import Path
from random import Random

from PIL import Image

from caebench.datasets.splits import Amount
from caebench.datasets.synthetic.world import render
from tests.fuzz.case import Case, Content
from tests.fuzz.damage import damaged, no_file
from tests.fuzz.kinds.base import Files, files_below
from tests.fuzz.values import TEXTS, changed, json_text, reworded, text

AMOUNTS = {
    **{name: Amount(0, 16, 20, 20) for name in ("imagenet1k", "food101", "clipart", "imagenet_1pct")},
    **{name: Amount(0, 32, 3, 2) for name in ("ade20k", "coco")},
}
ROOTS = {
    **{"food101": "data", "clipart": "data/domainnet", "ade20k": "data/ADEChallengeData2016", "coco": "data/coco"},
    **{"imagenet1k": "data/imagenet"},
}
ANNOTATIONS = {  # by data set: where its annotations are, below the root
    "coco": ("annotations/",),
    "ade20k": ("objectInfo150.txt", "annotations/"),
    "food101": ("food-101/meta/",),
    "clipart": ("clipart_train.txt", "clipart_test.txt"),
}
FREE = ("name", "file_name", "supercategory", "description")


class Annotations:
    """What says what is in pictures."""

    name = "annotations"
    needs_torch = True

    def base(self, scratch: Path) -> Files:
        names = [name for name in ROOTS if name != "imagenet1k"]
        render({name: AMOUNTS[name] for name in names}, scratch / "world")
        return {name: content for name, content in files_below(scratch / "world", "data").items() if "/." not in name}

    def case(self, rng: Random, base: Files) -> Case:
        data = rng.choice(["coco", "coco", "coco", *ANNOTATIONS])
        places = tuple(f"{ROOTS[data]}/{place}" for place in ANNOTATIONS[data])
        name = rng.choice([name for name in base if name.startswith(places)])
        root = f"../{ROOTS[data]}"
        arguments = rng.choice(
            [
                *[("@check", data, root), ("@check", data, root), ("@dataset", data, root)],
                *[("data", "check", data, "--root", root), ("data", "check", data, "--root", root, "--no-decode")],
                ("data", "check", data, "--root", root, "--json"),
            ]
        )
        if data == "coco" and rng.random() < 0.3:
            arguments = ("@objects", root)
        return Case(self.name, arguments, {name: _content(rng, name, base)})


def _content(rng: Random, name: str, base: Files) -> Content:
    old, draw = base[name], rng.random()
    if draw < 0.08:
        return no_file(rng)
    if draw < 0.3:
        return damaged(rng, old, [old, base[rng.choice(list(base))]])
    if name.endswith(".json"):
        tree = json.loads(old)
        tree = reworded(rng, tree, FREE) if draw < 0.4 else changed(rng, tree, rng.choice([1, 1, 2, 3]))
        return json_text(rng, tree)
    return _label_map(rng, old) if name.endswith(".png") else _listing(rng, old)


def _label_map(rng: Random, old: bytes) -> Content:
    """A label map of another mode, size or content."""
    with Image.open(io.BytesIO(old)) as image:
        image.load()
    width, height = rng.choice([image.size, image.size, (1, 1), (31, 33), (2000, 2000)])
    mode = rng.choice(["L", "L", "P", "1", "I;16", "I", "RGB", "RGBA", "LA"])
    made, file = image.resize((width, height)).convert(mode), io.BytesIO()
    if mode == "L":
        made = made.point(lambda label: min(255, label + rng.choice([0, 0, 1, 6, 250])))
    made.save(file, format="PNG")
    return file.getvalue()


def _listing(rng: Random, old: bytes) -> Content:
    """A list with lines that are missing, doubled, or say something else."""
    lines = old.decode().split("\n")
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(len(lines))
        action = rng.randrange(6)
        if action == 0:
            lines.insert(at, lines[rng.randrange(len(lines))])
        elif action == 1:
            lines[at] = text(rng)
        elif action == 2:
            lines[at] = lines[at].replace(rng.choice(" /\t_.0123456789"), rng.choice(TEXTS))
        elif action == 3:
            lines[at] += text(rng)
        elif action == 4:
            lines[at] = f"clipart/{text(rng)}/{text(rng)}.jpg {rng.choice([0, 3, 10**30, 'é', '٣'])}"
        else:
            lines = lines[:at] + lines[at + 1 :] or [""]
    return "\n".join(lines).encode(errors="surrogatepass")
