"""What a site has of the published data sets: a scale on real data is planned with it."""

from dataclasses import replace

from caebench.datasets.errors import DataError
from caebench.planning.scale import find_scale
from caebench.specs.inputs.dataset import RealData, Subset
from caebench.specs.scale import Scale
from caebench.specs.site import Site


def scale_on(site: Site, name: str | None) -> Scale:
    """A scale by name, or that of the site, on the data sets that the site has.

    Raises:
        ValueError: there is none, or what the site calls a subset cannot be read or is the whole set.
    """
    scale = find_scale(name or site.scale)
    return replace(scale, subsets=find_subsets(site)) if scale.world is None else scale


def find_subsets(site: Site) -> dict[str, Subset]:
    """The data sets that the site calls subsets, each as its folder is now.

    Raises:
        DataError: one cannot be read.
        ValueError: one is the whole set.
    """
    return {name: read_subset(name, site) for name, folder in site.data.items() if folder.subset}


def read_subset(name: str, site: Site) -> Subset:
    """What the site's folder has of a data set.

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
    return Subset(fingerprint=found.fingerprint, num_classes=size.num_classes, num_train=size.train, num_val=size.val)
