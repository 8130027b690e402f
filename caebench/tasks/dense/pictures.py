"""Pictures of what a dense model predicts, beside the truth."""

import colorsys
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from PIL import Image

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
            truth = sample.gt_sem_seg.data.squeeze().cpu().numpy()
            predicted = sample.pred_sem_seg.data.squeeze().cpu().numpy()
            with Image.open(sample.img_path) as image:
                photograph = np.asarray(image.convert("RGB").resize(truth.shape[::-1]))
            panels = [photograph, self._paint(predicted), self._paint(truth)]
            Image.fromarray(side_by_side(panels)).save(self.folder / f"{Path(sample.img_path).stem}.png")
            self.saved += 1

    def _paint(self, labels: np.ndarray) -> np.ndarray:
        return self.palette[np.minimum(labels, len(self.palette) - 1)]


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
