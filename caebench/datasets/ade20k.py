"""ADE20K as SceneParse-150 (arXiv 1608.05442): pictures and label maps; 0 is "other", 1 to 150 are the classes."""

import os
from pathlib import Path

import numpy as np

from caebench.datasets.errors import DataError, read_text
from caebench.datasets.inspection import Decoded, Inspection, is_hidden
from caebench.datasets.pixels import LABEL_MODES, PixelSize, fault_of_label_map
from caebench.datasets.scenes import SceneDataset
from caebench.datasets.splits import SPLITS, Size, Split
from caebench.datasets.synthetic.canvas import Canvas
from caebench.datasets.synthetic.rendering import FIRST_DIGIT_LABEL, SCENE_CLASSES, draw_scene

FOLDER = "ADEChallengeData2016"
FOLDERS: dict[Split, str] = {"train": "training", "val": "validation"}
CLASSES = "objectInfo150.txt"  # one line a class after the header, tab-separated: its label first, its name last
FULL_ADE20K = (
    "This benchmark uses SceneParse-150: get ADEChallengeData2016.zip from sceneparsing.csail.mit.edu "
    "and name the folder ADEChallengeData2016"
)


class ADE20K150(SceneDataset):
    """A label map for each picture, of the same name."""

    def places(self, split: Split) -> tuple[str, str]:
        return f"images/{FOLDERS[split]}", f"annotations/{FOLDERS[split]}"

    def classes(self, root: Path, split: Split, size: Size) -> tuple[str, ...]:
        path, do = root / CLASSES, "Unpack ADEChallengeData2016.zip again"
        if not path.is_file():
            raise DataError(path, "no such file: it names the classes", do)
        lines = [line.split("\t") for line in read_text(path, do).splitlines()[1:] if line.strip()]
        if len(lines) != size.num_classes:
            raise DataError(path, f"{len(lines)} classes, expected {size.num_classes}", do)
        names = {first.strip(): last.strip() for first, *_, last in lines}
        labels = [str(label) for label in range(1, size.num_classes + 1)]
        if absent := [label for label in labels if label not in names]:
            raise DataError(path, f"no class of label {absent[0]}, expected 1 to {size.num_classes} as Idx", do)
        return tuple(names[label] for label in labels)

    def inspect(self, inspection: Inspection) -> None:
        """The label maps, too."""
        root = inspection.root
        if (root / FOLDER).is_dir():
            do = f"Name {root / FOLDER} in the site file"
            inspection.add("root", root, f"the folder above {FOLDER}", do)
        elif sign := _sign_of_full_ade20k(root):
            inspection.add("full ADE20K", sign, "this is the full ADE20K, expected SceneParse-150", FULL_ADE20K)
        else:
            pairs = [pair for split in SPLITS for pair in _pairs(split, inspection)]
            inspection.marks += [(x.relative_to(root).as_posix(), y.relative_to(root).as_posix()) for x, y in pairs]
            for name in ("images", "annotations"):
                inspection.find_hidden(root / name)
            sound = set(inspection.existing((path for pair in pairs for path in pair), "its folder"))
            if inspection.decode:
                _check_label_maps([pair for pair in pairs if sound.issuperset(pair)], inspection)
            self._check_classes(inspection)

    def _check_classes(self, inspection: Inspection) -> None:
        """Their names, which a job reads first."""
        try:
            self.classes(inspection.root, "train", inspection.size)
        except DataError as error:
            inspection.add_error(error)

    def render(self, canvas: Canvas) -> None:
        """Two grounds and three digits."""
        num_pixels = np.zeros(len(SCENE_CLASSES) + 1, np.int64)
        num_images = {split: np.zeros(len(SCENE_CLASSES) + 1, np.int64) for split in SPLITS}
        for split in SPLITS:
            images, labels = self.places(split)
            for index, rng in canvas.pictures(split):
                name, scene = f"ADE_{split}_{index + 1:08d}", draw_scene(rng, split, canvas.amount.pixels)
                canvas.draw(f"{images}/{name}.jpg", scene.pixels)
                canvas.draw(f"{labels}/{name}.png", scene.labels)
                counts = np.bincount(scene.labels.ravel(), minlength=len(SCENE_CLASSES) + 1)
                num_pixels += counts
                num_images[split] += counts > 0
        ratios = num_pixels / num_pixels.sum()
        rows = [["Idx", "Ratio", "Train", "Val", "Stuff", "Name"]]
        for label, name in enumerate(SCENE_CLASSES, start=1):
            seen = [str(num_images[split][label]) for split in SPLITS]
            rows.append([str(label), f"{ratios[label]:.4f}", *seen, str(int(label < FIRST_DIGIT_LABEL)), name])
        canvas.write_lines(CLASSES, ("\t".join(row) for row in rows))


def _sign_of_full_ade20k(root: Path) -> Path | None:
    """Something that only the full ADE20K has: scene folders, `_seg.png` files, its index."""
    others = [*root.glob("ADE20K_20*"), *root.glob("index_ade20k.*")]
    for name in ("images/training", "images/validation", "annotations/training"):
        entries = os.scandir(root / name) if (root / name).is_dir() else ()
        others += sorted(Path(entry.path) for entry in entries if _is_of_full(entry))
    return root if root.name.startswith("ADE20K_20") else next(iter(others), None)


def _is_of_full(entry: os.DirEntry[str]) -> bool:
    """Whether it is a segmentation or a scene's folder; a folder named as a picture is another fault."""
    if is_hidden(entry.name):
        return False
    return entry.name.endswith("_seg.png") or (entry.is_dir() and not entry.name.endswith((".jpg", ".png")))


def _files(folder: Path, suffix: str) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob(f"*{suffix}")) if not is_hidden(path.name)}


def _pairs(split: Split, inspection: Inspection) -> list[tuple[Path, Path]]:
    """Image and label map of the same name; a half that lacks the other is a problem."""
    folders = [inspection.root / kind / FOLDERS[split] for kind in ("images", "annotations")]
    absent = [folder for folder in folders if not folder.is_dir()]
    for folder in absent:
        inspection.add("folders", folder, f"no such folder: the {split} split needs it")
    if absent:
        return []
    images, labels = _files(folders[0], ".jpg"), _files(folders[1], ".png")
    names = sorted(images.keys() | labels.keys())
    for name in names:
        if name not in labels:
            inspection.add("missing label maps", folders[1] / f"{name}.png", f"no such file, for {images[name]}")
        elif name not in images:
            inspection.add("missing images", folders[0] / f"{name}.jpg", f"no such file, for {labels[name]}")
    inspection.compare_count(split, len(names))
    return [(images[name], labels[name]) for name in names if name in images and name in labels]


def _check_label_maps(pairs: list[tuple[Path, Path]], inspection: Inspection) -> None:
    sizes: dict[Path, PixelSize] = {}
    image_of = {label: image for image, label in pairs}
    for path, found in inspection.decoded([path for pair in pairs for path in pair]):
        if path not in image_of:
            inspection.count_picture(path, found)
            sizes[path] = found.size
        else:
            _check_label_map(path, found, inspection)
            size = sizes.pop(image_of[path], found.size)
            if size != found.size:
                inspection.add_size(image_of[path], size, found.size, f"its label map {path} has")


def _check_label_map(path: Path, found: Decoded, inspection: Inspection) -> None:
    if fault := fault_of_label_map(found.mode, found.top_value, inspection.size.num_classes):
        kind = "labels out of range" if found.mode in LABEL_MODES else "label maps of another kind"
        inspection.add(kind, path, fault, FULL_ADE20K)


ADE20K = ADE20K150(
    name="ade20k",
    published=Size(150, 20_210, 2_000),
    layout=f"the folder {FOLDER} itself",
    marks=tuple(f"{kind}/{folder}/*" for kind in ("images", "annotations") for folder in FOLDERS.values()),
    source="Get ADEChallengeData2016.zip (SceneParse-150) from sceneparsing.csail.mit.edu",
    folder=FOLDER,
    purpose=9,
    num_rendered_classes=5,
    labels="map",
)
