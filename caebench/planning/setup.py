"""From the names on a command line to a plan, with its site and store."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from caebench.files.layout import JOB
from caebench.files.result import intact
from caebench.planning.code_caches import with_code_caches
from caebench.planning.cost import Cost
from caebench.planning.graph import Plan, Plans, make_plan
from caebench.planning.scale import SCALES
from caebench.planning.site_data import scale_on
from caebench.specs.scale import Scale
from caebench.specs.site import Site, load_site
from caebench.store.store import Store
from caebench.suites.files import suites_here
from caebench.suites.loading import check_elsewhere, every, load, load_all
from caebench.suites.suite import Suite


@dataclass(frozen=True)
class Setup:
    """The joint plan of some suites, with its site and store."""

    site: Site
    store: Store
    plans: Plans
    scale: Scale
    alone: tuple[Plans, ...] = ()  # the separate plan of each of several suites

    @cached_property
    def cost(self) -> Cost:
        """The total of all jobs, on the site's device."""
        return Cost.of(self.plans.jobs, self.site.calibration)

    @cached_property
    def costs_alone(self) -> list[Cost]:
        """The total of each suite, planned separately."""
        return [Cost.of(plans.jobs, self.site.calibration) for plans in self.alone] or [self.cost]


def set_up(suite: str, scale: str | None, site_name: str, store: Path | None, seeds: list[int]) -> Setup:
    """Plan a suite for a site, or `all` suites.

    Raises:
        ValueError: a suite, site or scale is unknown, or what is in a suite cannot run.
    """
    return set_up_suites(suite, load_all(suite), scale, site_name, store, seeds)


def set_up_suites(
    name: str, suites: Sequence[Suite], scale: str | None, site_name: str, store: Path | None, seeds: list[int]
) -> Setup:
    """Plan some suites for a site, under a name.

    Raises:
        ValueError: a site or scale is unknown, or what is in a suite cannot run.
    """
    site = load_site(site_name)
    jobs = open_store(site, store)
    chosen = scale_on(site, scale, jobs)
    for each in suites:
        check_elsewhere(each)
    plans: list[Plan] = [make_plan(each, chosen, seeds) for each in suites]

    def cached(*some: Plan) -> Plans:
        return with_code_caches(Plans(name, some), site.code_cache_gb, lambda job: jobs.state(job) == "done")

    alone = tuple(cached(each) for each in plans) if len(plans) > 1 else ()
    return Setup(site, jobs, cached(*plans), chosen, alone)


def open_store(site: Site, store: Path | None) -> Store:
    """The store of a site, or another.

    Raises:
        ValueError: it is no folder, and can become none.
    """
    found = Store(store or site.store)
    if wrong := found.misplaced():
        raise ValueError(wrong)
    return found


def find_folders(
    name: str, scale: str | None, site: str, store: Path | None, seeds: list[int]
) -> tuple[list[Path], str | None]:
    """The folders of a suite's jobs and its scale, or the folder of one job."""
    if is_suite(name):
        setup = set_up(name, scale, site, store, seeds)
        return [setup.store.folder(job) for job in setup.plans.jobs], setup.scale.name
    return [open_store(load_site(site), store).find(name)], None


def is_suite(name: str) -> bool:
    """Whether a name cannot be a job's id: it is a suite's, `all`, or unknown."""
    return not set(name) <= set("0123456789abcdef")


def planned_ids(store: Store, files: Sequence[str] = ()) -> set[str]:
    """The id of every job that a suite plans, at any scale, with any seed in the store.

    The suites are those of the working folder and of caebench, files `./NAME.toml` too, and the given files.
    """
    stored = (intact(folder, JOB).get("config", {}).get("seed") for folder in store.folders())
    seeds = sorted({0, *(seed for seed in stored if isinstance(seed, int))})
    suites = [*every(), *(load(str(path)) for path in suites_here()), *(load(name) for name in files)]
    return {job.id for scale in SCALES.values() for suite in suites for job in make_plan(suite, scale, seeds).jobs}
