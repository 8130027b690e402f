"""`caebench check NAME`: the checks of one method, evaluation, data set or suite, run one after the other."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caebench.contracts import planned
from caebench.contracts.check import TINY, Broken, Check
from caebench.datasets.registry import DATASETS
from caebench.planning.checking import check_file
from caebench.specs.did_you_mean import suggest
from caebench.specs.plugin import describe
from caebench.specs.pretrain import Pretrain
from caebench.specs.registry import EVALUATIONS, SOURCES
from caebench.suites.files import suite_files
from caebench.suites.loading import find_all

NEEDED = {"imported": {"sha256": "0" * 64, "family": "mae"}}  # arguments that a recipe cannot do without


@dataclass(frozen=True)
class Subject:
    """What is checked."""

    name: str
    kind: str  # in words
    make_checks: Callable[[Path], list[Check]]  # from a folder that keeps what several checks read


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    check: str
    ok: bool
    what: str  # is wrong
    do: str
    seconds: float


def find(name: str) -> Subject:
    """What has this name: a method's recipe, an evaluation, a data set, or a suite.

    Raises:
        ValueError: nothing has.
    """
    if name in SOURCES:
        return Subject(name, "method", lambda root: _of_source(name, root))
    if name in EVALUATIONS:
        return Subject(name, "evaluation", lambda root: _of_evaluation(name, root))
    if name in DATASETS:
        return Subject(name, "data set", lambda root: _of_dataset(name))
    known = [*SOURCES, *EVALUATIONS, *DATASETS, *suite_files()]
    if name in suite_files() or name.endswith(".toml") or Path(f"{name}.toml").is_file():
        (path,) = find_all(name)
        return Subject(name, "suite", lambda root: [Check("it reads and plans at every scale", lambda _: plans(path))])
    raise ValueError(
        f"'{name}': no method, evaluation, data set or suite.{suggest(name, known)} Known: {', '.join(known)}. One of "
        "your own is known once the site file names its module in plugins."
    )


def run_checks(subject: Subject, folder: Path) -> Iterator[Finding]:
    """Run the checks; a folder keeps what they write."""
    for number, check in enumerate(subject.make_checks(folder / "inputs")):
        own = folder / str(number)
        own.mkdir()
        what, do, began = "", "", time.monotonic()
        try:
            check.holds(own)
        except Broken as error:
            what, do = error.what, error.do
        except Exception as error:  # whatever the code may raise
            what, do = describe(error, None), "Correct it there"
        yield Finding(check.name, not what, what, do, time.monotonic() - began)


def plans(path: Path) -> None:
    """A suite file has no mistake, and plans at every scale.

    Raises:
        Broken: it has one.
    """
    if mistakes := check_file(path).mistakes:
        raise Broken(mistakes[0].rstrip("."), "`caebench suites check` lists all mistakes")


def _of_source(name: str, root: Path) -> list[Check]:
    recipe, needed = SOURCES[name], NEEDED.get(name, {})
    found = planned.checks(recipe, needs_encoder=False, needed=needed)
    if isinstance(config := _made(recipe, needed), Pretrain):
        from caebench.contracts import methods

        found += methods.checks(config, root)
    return found


def _of_evaluation(name: str, root: Path) -> list[Check]:
    from caebench.contracts import evaluations

    recipe = EVALUATIONS[name]
    config = _made(recipe, {})
    needs_encoder = getattr(config, "NEEDS_ENCODER", True)
    found = planned.checks(recipe, needs_encoder, {})
    return [*found, *(evaluations.checks(config, root) if config is not None else [])]


def _of_dataset(name: str) -> list[Check]:
    from caebench.contracts import datasets

    return [Check("planning imports no torch", lambda _: planned.imports_no_torch()), *datasets.checks(DATASETS[name])]


def _made(recipe: Callable[..., Any], needed: dict[str, Any]) -> Any:
    """The config at the scale of checks; None where it cannot be made, which a check of its own says."""
    try:
        return TINY.apply(recipe(**needed))
    except Exception:  # whatever the code may raise
        return None
