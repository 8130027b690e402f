"""Pictures of a dense model's predictions next to the ground truth."""

import colorsys
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from PIL import Image, ImageDraw

from caebench.data.loading import open_image

SHOWN = 8  # validation images
GAP = 4  # white pixels between the panels


class PictureHook(Hook):
    """Save image, prediction and truth of the first validation images, side by side."""

    def __init__(self, folder: Path, num_classes: int) -> None:
        self.folder, self.palette = folder, palette(num_classes)
        self.saved = 0

    def after_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Take what comes until there are enough."""
        for sample in outputs or ():
            if self.saved == SHOWN:
                return
            self.folder.mkdir(exist_ok=True)
            photograph = np.asarray(open_image(sample.img_path))
            panels = [photograph, *self._panels(sample, photograph)]
            Image.fromarray(side_by_side(panels)).save(self.folder / f"{Path(sample.img_path).stem}.png")
            self.saved += 1

    def _panels(self, sample: Any, photograph: np.ndarray) -> list[np.ndarray]:
        maps = (sample.pred_sem_seg, sample.gt_sem_seg)
        return [self._paint(one.data.squeeze().cpu().numpy()) for one in maps]

    def _paint(self, labels: np.ndarray) -> np.ndarray:
        return self.palette[np.minimum(labels, len(self.palette) - 1)]


class BoxPictureHook(PictureHook):
    """Save the most confident objects, as many as there are true ones: coloured masks with boxes."""

    def _panels(self, sample: Any, photograph: np.ndarray) -> list[np.ndarray]:
        found, truth = sample.pred_instances, sample.gt_instances
        sure = found[found.scores.argsort(descending=True)[: len(truth)]]
        masks = truth.masks.masks if hasattr(truth.masks, "masks") else truth.masks
        scaled = truth.bboxes / truth.bboxes.new_tensor(tuple(sample.scale_factor) * 2)
        return [
            self._outline(photograph, sure.masks.cpu().numpy(), sure.bboxes.cpu().numpy(), sure.labels.tolist()),
            self._outline(photograph, np.asarray(masks), scaled.cpu().numpy(), truth.labels.tolist()),
        ]

    def _outline(self, photograph: np.ndarray, masks: np.ndarray, boxes: np.ndarray, labels: list[int]) -> np.ndarray:
        painted = photograph.astype(np.float32)
        for mask, label in zip(masks, labels, strict=True):
            painted[mask.astype(bool)] = 0.5 * painted[mask.astype(bool)] + 0.5 * self.palette[label]
        image = Image.fromarray(painted.astype(np.uint8))
        for box, label in zip(boxes, labels, strict=True):
            ImageDraw.Draw(image).rectangle(box.tolist(), outline=tuple(self.palette[label].tolist()))
        return np.asarray(image)


def palette(num_classes: int) -> np.ndarray:
    """A colour a class [classes + 1, 3], hues in golden steps; the last, for what is ignored, is black."""
    hues = [(0.618034 * number) % 1.0 for number in range(num_classes)]
    colours = [colorsys.hsv_to_rgb(hue, 0.55 + 0.4 * (n % 2), 0.95 - 0.3 * (n % 3 == 2)) for n, hue in enumerate(hues)]
    return (255 * np.array([*colours, (0.0, 0.0, 0.0)])).astype(np.uint8)


def side_by_side(panels: list[np.ndarray]) -> np.ndarray:
    """Panels of one height, with a white gap between."""
    gap = np.full((len(panels[0]), GAP, 3), 255, np.uint8)
    parts = [part for panel in panels for part in (panel, gap)][:-1]
    return np.concatenate(parts, axis=1)
