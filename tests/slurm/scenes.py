"""What a test's jobs are submitted from before it runs, with those of all other tests: so they wait together."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from caebench.specs.scale import Scale
from caebench.store.store import Store
from tests.slurm.bench import Bench
from tests.slurm.cluster import Cluster


class Scene(NamedTuple):
    """What a test's jobs are submitted from, before it runs."""

    folder: Path
    cluster: Cluster
    tiny: Scale
    rendered: Store
    environment: pytest.MonkeyPatch

    def bench(self, name: str = "store", **slurm: object) -> Bench:
        """A store that has the data, and a site."""
        return Bench(self.folder / name, **slurm).add(self.rendered)


def begins(function: Callable[[Scene], Any]) -> pytest.MarkDecorator:
    """Have a test's jobs submitted by a function; the fixture `started` is what it returned."""
    return pytest.mark.begins.with_args(function)


def has_begun(item: pytest.Item) -> Callable[[Scene], Any] | None:
    """What submits a test's jobs, if anything does."""
    mark = item.get_closest_marker("begins")
    return mark.args[0] if mark else None
