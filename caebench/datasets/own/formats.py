"""The formats of users' data sets by name: one line each."""

from collections.abc import Callable, Mapping
from functools import cache

from caebench.datasets.base import Dataset
from caebench.datasets.own.imagefolder import ImageFolder
from caebench.datasets.own.layout import Layout

FORMATS: Mapping[str, Callable[..., Dataset]] = {"imagefolder": ImageFolder}
WHAT: Mapping[str, str] = {"imagefolder": "the folder that holds the splits' folders, or the classes' folders"}


@cache
def own_dataset(name: str, form: Layout) -> Dataset:
    """A user's data set, by the name and the layout that a site file gives it."""
    return FORMATS[form.format](
        name=name,
        published=None,
        layout=WHAT[form.format],
        source=f"Correct the folder, or [data.{name}] in the site file",
        folder=name,
        num_rendered_classes=0,
        form=form,
    )
