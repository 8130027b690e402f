"""From what a command line names to what the planner needs."""

from dataclasses import dataclass
from pathlib import Path

from caebench.config.names import suggest
from caebench.config.site import Site, load_site
from caebench.plan.graph import Plan, make_plan
from caebench.plan.scale import SCALES, Scale
from caebench.plan.store import Store
from caebench.suites import Table, load


@dataclass(frozen=True)
class Setup:
    """A plan with the site and the store that it meets."""

    site: Site
    store: Store
    plan: Plan


def set_up(suite: str, scale: str | None, site_name: str, store: Path | None, seeds: list[int]) -> Setup:
    """Plan a suite for a site."""
    return set_up_table(load(suite), scale, site_name, store, seeds)


def set_up_table(table: Table, scale: str | None, site_name: str, store: Path | None, seeds: list[int]) -> Setup:
    """Plan a suite that is already read."""
    site = load_site(site_name)
    plan = make_plan(table, find_scale(scale or site.scale), seeds)
    return Setup(site, open_store(site, store), plan)


def open_store(site: Site, store: Path | None) -> Store:
    """The store of a site, or another."""
    return Store((store or site.store).expanduser())


def find_scale(name: str) -> Scale:
    """A scale by name.

    Raises:
        ValueError: there is none.
    """
    for known, scale in SCALES.items():
        if known == name:
            return scale
    raise ValueError(f"--scale '{name}': unknown.{suggest(name, SCALES)} Known: {', '.join(SCALES)}.")
