"""What a site has of published data sets, and its own ones: a scale on real data is planned with it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from caebench.datasets.errors import DataError
from caebench.datasets.splits import Measured
from caebench.planning.scale import find_scale
from caebench.specs.base import Config
from caebench.specs.inputs.dataset import Contents, OnSite, OwnData, RealData
from caebench.specs.scale import Scale
from caebench.specs.site import Site
from caebench.specs.world import known_dataset


class SiteData(Mapping[str, Config]):
    """The subsets and the users' own data sets of a site, each as its folder is now: listed when first asked for."""

    def __init__(self, site: Site, *, with_subsets: bool = True) -> None:
        self.site = site
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
            layout = self.site.data[name].layout
            self._read[name] = read_subset(name, self.site) if layout is None else read_own(name, self.site)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def scale_on(site: Site, name: str | None) -> Scale:
    """A scale by name, or that of the site, on the data sets that the site has.

    Raises:
        ValueError: there is no such scale.
    """
    found = SiteData(site)
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
