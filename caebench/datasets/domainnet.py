"""Two domains of DomainNet (arXiv 1812.01754), the cleaned version: a folder of classes and a list a split."""

from pathlib import Path

from caebench.datasets.errors import DataError, is_name, read_text
from caebench.datasets.images import LIST_NAMES, ImageDataset, check_listed
from caebench.datasets.splits import SPLITS, Entry, Size, Split
from caebench.datasets.synthetic.canvas import Canvas
from caebench.datasets.synthetic.rendering import DIGITS, draw_clipart, draw_sketch
from caebench.files.toml import brief


class Domain(ImageDataset):
    """As its list has it, one `domain/class/file label` a line."""

    def listed_in(self, split: Split) -> str:
        return f"{self.name}_{LIST_NAMES[split]}.txt"

    def entries(self, root: Path, split: Split, size: Size) -> list[Entry]:
        listing = root / self.listed_in(split)
        if not listing.is_file():
            raise DataError(listing, f"no such file: it lists the {split} images of {self.name}", self.source)
        entries: list[Entry] = []
        for number, line in enumerate(read_text(listing, self.source).splitlines(), start=1):
            path, _, label = line.strip().rpartition(" ")
            if (
                path.count("/") < 2
                or not label.isdecimal()
                or len(label) > 9
                or not is_name(path)
                or f"{self.name}/" not in path
            ):
                what = f"{brief(repr(line))}, expected '{self.name}/<class>/<file> <label>'"
                raise DataError(f"{listing}, line {number}", what, self.source)
            entries.append((path, int(label)))
        return check_listed(entries, listing, f"Restore the list. {self.source}")

    def render(self, canvas: Canvas) -> None:
        """Ten digits, numbered alphabetically."""
        draw, classes = {"clipart": draw_clipart, "sketch": draw_sketch}[self.name], sorted(DIGITS)
        for split in SPLITS:
            first_id, listed = 1 if split == "train" else 500_001, list[str]()
            for index, rng in canvas.pictures(split):
                label = index % len(classes)
                name = classes[label]
                path = f"{self.name}/{name}/{self.name}_{label + 1:03d}_{first_id + index:06d}.jpg"
                canvas.draw(path, draw(rng, split, DIGITS.index(name), canvas.amount.pixels))
                listed.append(f"{path} {label}")
            listed.sort(key=lambda line: int(line.rsplit(" ", 1)[1]))  # stable: by class, as published
            canvas.write_lines(self.listed_in(split), listed)


def _domain(name: str, size: Size, purpose: int) -> Domain:
    return Domain(
        name=name,
        published=size,
        layout=f"the folder that holds {name}/, {name}_train.txt and {name}_test.txt",
        marks=(f"{name}/*", f"{name}_train.txt", f"{name}_test.txt"),
        source="Get the cleaned version and its lists from the DomainNet site (ai.bu.edu/M3SDA)",
        folder="domainnet",
        purpose=purpose,
        num_rendered_classes=10,
    )


CLIPART = _domain("clipart", Size(345, 33_525, 14_604), 5)
SKETCH = _domain("sketch", Size(345, 48_212, 20_916), 7)
