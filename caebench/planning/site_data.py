"""What a site has of published data sets, and its own ones: a scale on real data is planned with it."""

import glob
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from caebench.datasets.errors import DataError
from caebench.datasets.splits import Measured
from caebench.files.layout import JOB, RESULT
from caebench.files.result import intact
from caebench.planning.scale import find_scale
from caebench.specs.base import Config
from caebench.specs.inputs.dataset import Contents, OnSite, OwnData, RealData
from caebench.specs.own_data import OwnLayout
from caebench.specs.scale import Scale
from caebench.specs.site import Site
from caebench.specs.world import known_dataset
from caebench.store.store import Store


class SiteData(Mapping[str, Config]):
    """The subsets and the users' own data sets of a site, each as its folder is now: listed when first asked for.

    Where a folder is out of reach, a finished job of the store tells what it had: results are shown without the data.
    """

    def __init__(self, site: Site, store: Store | None = None, *, with_subsets: bool = True) -> None:
        self.site, self.store = site, store
        self.names = [name for name, one in site.data.items() if one.layout or (one.subset and with_subsets)]
        self._read: dict[str, Config] = {}

    def __getitem__(self, name: str) -> Config:
        """What a folder has.

        Raises:
            DataError: it cannot be read.
            KeyError: the site names no such subset or own data set.
            ValueError: a subset is the whole set.
        """
        if name not in self.names:
            raise KeyError(name)
        if name not in self._read:
            self._read[name] = self._find(name)
        return self._read[name]

    def _find(self, name: str) -> Config:
        folder = self.site.data[name]
        known = _remembered(name, folder.layout, self.store) if self.store and _is_away(folder.root) else []
        if len(known) == 1:
            return known[0]
        return read_subset(name, self.site) if folder.layout is None else read_own(name, self.site)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def _is_away(root: Path) -> bool:
    """Whether a folder is out of reach: not there, not readable, or empty, as where a disk is not mounted."""
    try:
        return not root.exists() or (root.is_dir() and next(root.iterdir(), None) is None)
    except OSError:
        return True


def _remembered(name: str, layout: OwnLayout | None, store: Store) -> list[Config]:
    """What the finished data jobs of a store had under a name, in that layout, each once."""
    found: dict[str, Config] = {}
    for folder in sorted((store.root / "data").glob(f"{glob.escape(name)}-*")):
        content = intact(folder, JOB).get("config", {})
        if content.get("name") != name or not intact(folder, RESULT):
            continue
        if layout is None and content.get("subset"):
            found[str(content)] = Contents.model_validate(content["subset"])
        elif layout is not None and content.get("layout") and OwnLayout.model_validate(content["layout"]) == layout:
            found[str(content)] = OnSite.model_validate({"layout": layout, "contents": content["contents"]})
    return list(found.values())


def scale_on(site: Site, name: str | None, store: Store | None = None) -> Scale:
    """A scale by name, or that of the site, on the data sets that the site has, or had when the store's jobs ran.

    Raises:
        ValueError: there is no such scale.
    """
    found = SiteData(site, store)
    return replace(find_scale(name or site.scale), found=found) if found else find_scale(name or site.scale)


def data_on(site: Site, name: str) -> RealData | OwnData:
    """A data set as a site has it.

    Raises:
        DataError: its folder cannot be read.
        ValueError: there is no such data set, or a subset is the whole set.
    """
    found = SiteData(site)
    if name in site.data and site.data[name].layout is not None:
        return OwnData(kind="own", name=name).on_site(found)
    return RealData(kind="real", name=known_dataset(name)).on_site(found)


def read_own(name: str, site: Site) -> OnSite:
    """What the site's folder has of a user's data set.

    Raises:
        DataError: it cannot be read.
    """
    layout = site.data[name].layout
    assert layout is not None, "the caller has asked"
    data = OwnData(kind="own", name=name, layout=layout)
    return OnSite(layout=layout, contents=_contents(data.dataset.measure(site.roots)))


def read_subset(name: str, site: Site) -> Contents:
    """What the site's folder has of a published data set.

    Raises:
        DataError: it cannot be read.
        ValueError: it is the whole set.
    """
    whole = RealData(kind="real", name=name)
    found = whole.dataset.measure(whole.roots(site.roots, {}))
    if found.size == whole.size:
        raise ValueError(
            f"site file, [data.{name}] subset = true: {site.roots[name]} has as many classes and images as the whole "
            f"{name}. Remove `subset`."
        )
    size = found.size
    if not min(size):
        what = f"{size.num_classes} classes, {size.train} training and {size.val} validation images"
        raise DataError(site.roots[name], f"a subset of {what}", "Each split needs images. " + whole.dataset.source)
    return _contents(found)


def _contents(found: Measured) -> Contents:
    size = found.size
    return Contents(
        fingerprint=found.fingerprint,
        num_classes=size.num_classes,
        num_train=size.train,
        num_val=size.val,
        unpacked_bytes=found.unpacked_bytes,
    )
