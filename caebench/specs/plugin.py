"""One plug-in: where its code is, and its objects, imported with errors of one line (ADR 42). No torch."""

import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from caebench.files.toml import brief
from caebench.specs.did_you_mean import suggest

GROUPS = {  # what a plug-in may have -> the attribute of a plain module
    "specs": "SPECS",
    "datasets": "DATASETS",
    "stages": "STAGES",  # this and the next are read once a job trains
    "methods": "METHODS",
}
ENTRY_POINTS = {  # the same -> the group of entry points of an installed package
    "specs": "caebench.specs",
    "datasets": "caebench.datasets",
    "stages": "caebench.stages",
    "methods": "caebench.methods",
}
ABSENT = object()
MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


class PluginError(ValueError):
    """A plug-in that cannot be used."""


@dataclass(frozen=True)
class Plugin:
    """A module that a site file names, or an installed package with entry points."""

    name: str
    named_in: str  # where it was found to be a plug-in
    is_package: bool = False  # an installed package with entry points
    version: str | None = None
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])  # group -> module:OBJECT

    def __str__(self) -> str:
        return f"plug-in '{self.name}' ({self.named_in})"

    @property
    def modules(self) -> list[str]:
        """The modules that its objects are in, each once."""
        places = [place.partition(":")[0] for group in self.places.values() for place in group]
        return list(dict.fromkeys(places))

    def load(self, place: str) -> Any:
        """One of its objects, `module:ATTRIBUTE`.

        Raises:
            PluginError: its module is not there, raises, or has no such attribute.
        """
        module, _, attribute = place.partition(":")
        found: Any = self.imported(module)
        for part in attribute.split("."):
            if (found := self.attribute(found, part, module)) is ABSENT:
                raise PluginError(f"{self}: {module} has no '{part}' ({place}). Correct the plug-in.")
        return found

    def attribute(self, owner: Any, name: str, module: str) -> Any:
        """An attribute, or `ABSENT`.

        Raises:
            PluginError: a `__getattr__` of the plug-in raises something else.
        """
        try:
            return getattr(owner, name, ABSENT)
        except BaseException as error:
            raise self._fault(error, module) from error

    def _fault(self, error: BaseException, module: str) -> "PluginError":
        """What its code raised, in one line; what the user or the system asked for goes on."""
        if isinstance(error, KeyboardInterrupt | GeneratorExit | MemoryError):
            raise error
        return PluginError(f"{self}: {describe(error, folder_of(module))}. Correct the plug-in.")

    def imported(self, module: str) -> Any:
        """One of its modules.

        Raises:
            PluginError: it is not there, or it raises.
        """
        try:
            return import_module(module)
        except BaseException as error:
            if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
                raise PluginError(f"{self}: no module '{module}'. Correct the plug-in, or install it again.") from error
            raise self._fault(error, module) from error


def describe(error: BaseException, folder: Path | None) -> str:
    """An exception in one line: type, message, file and line; the innermost line below a folder, if there is one."""
    said = " ".join(_text(error).split())
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {' '.join(error.msg.split())}, at {error.filename}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    own = [frame for frame in frames if folder is not None and Path(frame.filename).is_relative_to(folder)]
    last = (own or frames)[-1]
    return f"{type(error).__name__}{f': {said}' if said else ''}, at {last.filename}:{last.lineno}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # of a class that the plug-in wrote
        return ""


def of_entry_points(package: str, version: str, found: Sequence[EntryPoint]) -> Plugin:
    """The plug-in that an installed package is."""
    places = {group: tuple(e.value for e in found if e.group == its) for group, its in ENTRY_POINTS.items()}
    places = {group: values for group, values in places.items() if values}
    return Plugin(package, f"installed package {package} {version}", True, version, places)


def of_module(name: str, where: str, folders: Sequence[Path]) -> Plugin:
    """The plug-in that a plain module is, by its attributes; one that is a text names an object elsewhere.

    Raises:
        PluginError: there is no such module, it raises, or it has none of the attributes.
    """
    if find(name) is None:
        raise PluginError(_not_found(name, where, folders))
    plugin = Plugin(name, where)
    module = plugin.imported(name)
    places: dict[str, tuple[str, ...]] = {}
    for group, attribute in GROUPS.items():
        found = plugin.attribute(module, attribute, name)
        if found is not ABSENT and found is not None:
            places[group] = (found if isinstance(found, str) and ":" in found else f"{name}:{attribute}",)
    if not places:
        raise PluginError(
            f"{plugin}: {module.__file__ or name} has none of {', '.join(GROUPS.values())}. A plug-in has at least "
            "one: see docs/how-to/add-a-method.md."
        )
    version = plugin.attribute(module, "__version__", name)
    return Plugin(name, where, False, version if isinstance(version, str) else None, places)


def find(name: str) -> ModuleSpec | None:
    """Where a module is, without importing it or the packages that it is in; None: nowhere."""
    top, *rest = name.split(".")
    try:
        spec = find_spec(top)
    except ValueError:  # `__main__`, and what has no place
        return None
    for part in rest:
        top = f"{top}.{part}"
        spec = PathFinder.find_spec(top, spec.submodule_search_locations) if spec else None
    return spec


def outermost(module: str) -> tuple[str, Path] | None:
    """The outermost package with an `__init__` that a module is in, or itself, and its folder or file."""
    parts = module.split(".")
    for number in range(len(parts)):
        spec = find(name := ".".join(parts[: number + 1]))
        if spec is None:
            return None
        if spec.origin is not None and spec.has_location:
            origin = Path(spec.origin).resolve()
            return name, origin.parent if origin.name == "__init__.py" else origin
    return None


def folder_of(module: str) -> Path | None:
    """The folder below which a plug-in's own lines are."""
    found = outermost(module)
    return None if found is None else found[1] if found[1].is_dir() else found[1].parent


def _not_found(name: str, where: str, folders: Sequence[Path]) -> str:
    """Why there is no such module: where it was looked for, the nearest name, and what to do."""
    parent, _, _ = name.rpartition(".")
    spec = find(parent) if parent else None
    inside = spec.submodule_search_locations if spec else None
    places = list(inside or ()) if parent else [*map(str, folders), str(Path.cwd())]
    known = [f"{parent}." * bool(parent) + one.name for one in iter_modules(places)]
    looked = ", ".join([*map(str, folders), "PYTHONPATH, and the installed packages"])
    here = Path.cwd()
    if (here / name.split(".")[0]).is_dir() or (here / f"{name}.py").is_file():
        do = f'It is in this folder: add plugins_path = ["{here}"] to the site file.'
    else:
        do = "Correct the name, or name the folder that it is in as plugins_path."
    return f"{where}: plug-in '{name}': no such module.{suggest(name, known)} Looked in {looked}. {do}"


def search_also(folders: Sequence[Path]) -> None:
    """Have Python find modules in some folders, after all others: none of these may hide an installed package."""
    sys.path.extend(str(folder) for folder in folders if str(folder) not in sys.path)


def check_module(name: str) -> str:
    """The name of a module.

    Raises:
        ValueError: it is none.
    """
    if not MODULE.fullmatch(name):
        raise ValueError(f"'{brief(name)}' is no name of a module. Write it as Python imports it: mylab.caebench")
    return name
