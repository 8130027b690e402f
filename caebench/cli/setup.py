"""From what a command line names to what the planner needs."""

from dataclasses import dataclass
from pathlib import Path

from caebench.config.site import Site, load_site
from caebench.plan.codes import with_code_caches
from caebench.plan.graph import Plan, Plans, make_plan
from caebench.plan.scale import Scale, find_scale
from caebench.plan.store import Store
from caebench.suites import load_all


@dataclass(frozen=True)
class Setup:
    """Suites planned together, with the site and the store that they meet."""

    site: Site
    store: Store
    plans: Plans
    scale: Scale
    alone: tuple[Plans, ...] = ()  # each of the suites, planned as if there were no other


def set_up(suite: str, scale: str | None, site_name: str, store: Path | None, seeds: list[int]) -> Setup:
    """Plan a suite for a site, or `all` suites."""
    site = load_site(site_name)
    chosen = find_scale(scale or site.scale)
    plans: list[Plan] = [make_plan(table, chosen, seeds) for table in load_all(suite)]
    jobs = open_store(site, store)

    def cached(*some: Plan) -> Plans:
        return with_code_caches(Plans(suite, some), site.code_cache_gb, lambda job: jobs.state(job) == "done")

    return Setup(site, jobs, cached(*plans), chosen, tuple(cached(each) for each in plans))


def open_store(site: Site, store: Path | None) -> Store:
    """The store of a site, or another."""
    return Store((store or site.store).expanduser())


def find_folders(
    name: str, scale: str | None, site: str, store: Path | None, seeds: list[int]
) -> tuple[list[Path], str | None]:
    """The folders of a suite's jobs and its scale, or the folder of one job."""
    if is_suite(name):
        setup = set_up(name, scale, site, store, seeds)
        return [setup.store.folder(job) for job in setup.plans.jobs], setup.scale.name
    return [open_store(load_site(site), store).find(name)], None


def is_suite(name: str) -> bool:
    """Whether a name is no job's id: a suite's, `all`, or a mistake that the suites' error explains."""
    return not set(name) <= set("0123456789abcdef")
