"""Render the synthetic data: small pictures in the on-disk layouts of the real data sets, which the same readers read.

Each data set renders itself below one root. Nothing here says that a render is complete; the job's result does.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from caebench.datasets.errors import DataError
from caebench.datasets.registry import DATASETS
from caebench.datasets.splits import Amount
from caebench.datasets.synthetic.canvas import Canvas
from caebench.files.atomic import write_text

MARKER = "world.json"  # which world a root holds: written first, so that two worlds never mix


def render(amounts: Mapping[str, Amount], root: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """Write data sets below `root`; run again over a half-written root, it ends in the same files."""
    _claim(amounts, root)
    done, total = 0, num_pictures(amounts)

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    for name, amount in amounts.items():
        dataset = DATASETS[name]
        dataset.render(Canvas(root / dataset.folder, amount, dataset.purpose, tick))


def num_pictures(amounts: Mapping[str, Amount]) -> int:
    """How many pictures `render` draws, each of which counts as progress."""
    drawn = ((amount, DATASETS[name].rendered_splits) for name, amount in amounts.items())
    return sum(amount.train * ("train" in splits) + amount.val * ("val" in splits) for amount, splits in drawn)


def _claim(amounts: Mapping[str, Amount], root: Path) -> None:
    marker, description = root / MARKER, json.dumps(dict(amounts), indent=2) + "\n"
    if marker.exists():
        if marker.read_text(encoding="utf8") != description:
            raise DataError(
                root, f"holds another world (see {MARKER})", "Render into an empty folder, or delete this one"
            )
        return
    if present := sorted(path.name for path in root.glob("*")):
        raise DataError(root, f"holds {', '.join(present[:5])}, not rendered here", "Render into an empty folder")
    root.mkdir(parents=True, exist_ok=True)
    write_text(marker, description)
