"""What every data set promises: it reads what it renders, in the numbers that it says, and renders the same twice."""

from pathlib import Path

from caebench.contracts.check import TINY, Broken, Check
from caebench.datasets.base import Dataset
from caebench.datasets.registry import DATASETS
from caebench.datasets.splits import SPLITS, ImageSplit
from caebench.datasets.synthetic.world import render


def checks(dataset: Dataset) -> list[Check]:
    """The checks of a data set, rendered at scale `check.TINY`."""
    return [
        Check("it says what its folder holds, and where to get it", lambda _: says_its_source(dataset)),
        Check("what it renders it reads, in the numbers that it says", lambda folder: reads(dataset, folder)),
        Check("it renders the same twice", lambda folder: renders_alike(dataset, folder)),
        Check("its check finds nothing wrong with what it renders", lambda folder: is_sound(dataset, folder)),
    ]


def says_its_source(dataset: Dataset) -> None:
    """Its layout and source are said.

    Raises:
        Broken: one is not.
    """
    for name in ("layout", "source", "folder"):
        if not getattr(dataset, name):
            raise Broken(f"{name} is empty", "Give it: it is shown where the data is missing")


def rendered(dataset: Dataset, root: Path) -> dict[str, Path]:
    """It and what it reads, rendered as the jobs do; the folder of each."""
    needed = {one.name for one in (dataset, *dataset.reads)}
    makers = {DATASETS[name].rendered_with or name for name in needed}
    names = {name for name, one in DATASETS.items() if (one.rendered_with or name) in makers}
    assert TINY.world is not None, "the scale of checks is rendered"
    render(TINY.world.amounts(sorted(names)), root)
    return {name: root / DATASETS[name].folder for name in needed}


def reads(dataset: Dataset, folder: Path) -> None:
    """Both splits have the images and the classes that the data set says.

    Raises:
        Broken: they have not.
    """
    assert TINY.world is not None, "the scale of checks is rendered"
    size, roots = dataset.rendered(TINY.world.amount(dataset.name)), rendered(dataset, folder)
    for split in SPLITS:
        try:
            found = dataset.open(roots, split, size)
        except Exception as error:  # whatever a plug-in's code may raise
            raise Broken(
                f"its {split} split cannot be read: {type(error).__name__}: {error}".rstrip("."), "Correct `read`"
            ) from error
        if isinstance(found, ImageSplit):
            wanted = size.train if split == "train" else size.val
            if len(found.entries) != wanted:
                what = f"its {split} split has {len(found.entries)} images, and {wanted} were rendered"
                raise Broken(what, "Let `render` and `entries` agree")
            if wrong := [path for path, _ in found.entries if not (found.root / path).is_file()]:
                raise Broken(f"its {split} split lists {wrong[0]}, which is not there", "Correct `entries`")
            if wrong := [label for _, label in found.entries if not -1 <= label < size.num_classes]:
                raise Broken(f"a label is {wrong[0]}: there are {size.num_classes} classes", "Number them from 0")


def renders_alike(dataset: Dataset, folder: Path) -> None:
    """Rendered twice, every file is the same.

    Raises:
        Broken: one is not.
    """
    first, second = (_contents(rendered(dataset, folder / name)[dataset.name]) for name in ("first", "second"))
    if differing := sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name)):
        raise Broken(
            f"{differing[0]} differs when it is rendered again", "Draw from the generator of each picture only"
        )


def is_sound(dataset: Dataset, folder: Path) -> None:
    """`caebench data check` finds no problem.

    Raises:
        Broken: it finds one.
    """
    assert TINY.world is not None, "the scale of checks is rendered"
    size = dataset.rendered(TINY.world.amount(dataset.name))
    found = dataset.check(rendered(dataset, folder), size)
    if found.problems:
        raise Broken(str(found.problems[0]).rstrip("."), "Let `render` write what `inspect` wants")


def _contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
