"""A scheduler is known in one package: the others say what every scheduler can do (ADR 26)."""

from pathlib import Path
from typing import get_args

import pytest

import caebench
from caebench.execution.schedulers.base import Scheduler
from caebench.execution.schedulers.registry import SCHEDULERS
from caebench.specs import site
from caebench.specs.scheduler import SchedulerSection

PACKAGE = Path(caebench.__file__).parent
REGISTRY = "execution/schedulers/registry.py"
SITE = {"specs/site.py"}  # and specs/<name>.py, the fields of the section


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_is_named_in_its_package_the_registry_the_site_file_and_helps(name):
    paths = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    naming = {place for place, path in paths.items() if name in path.read_text(encoding="utf8").lower()}
    outside = {place for place in naming if not place.startswith((f"execution/schedulers/{name}/", "cli/"))}
    assert outside == {REGISTRY, *SITE, f"specs/{name}.py"}
    imported = {place for place, path in paths.items() if f"schedulers.{name}" in path.read_text(encoding="utf8")}
    assert {place for place in imported if not place.startswith(f"execution/schedulers/{name}/")} == {REGISTRY}


def test_every_section_of_a_site_file_has_a_scheduler():
    sections = {
        name
        for name, field in site.Site.model_fields.items()
        if any(isinstance(kind, type) and issubclass(kind, SchedulerSection) for kind in get_args(field.annotation))
    }
    assert set(site.SCHEDULERS) == set(SCHEDULERS) == sections
    assert all(isinstance(one, Scheduler) and one.name == name for name, one in SCHEDULERS.items())
