"""The plug-ins of this process: their names are added to the tables of kinds, methods, recipes and data sets (ADR 42).

Installed packages come with the import of `caebench.specs`; the modules of a site file with the site. What trains is
read when the training half is imported: `fill`.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from caebench.datasets.base import Dataset
from caebench.datasets.registry import DATASETS, PUBLISHED
from caebench.files.paths import SITES, expand
from caebench.files.toml import read_toml
from caebench.specs.plugin import (
    ENTRY_POINTS,
    GROUPS,
    MODULE,
    Plugin,
    PluginError,
    of_entry_points,
    of_module,
    search_also,
)

USED: list[Plugin] = []
PROBLEMS: list[str] = []  # of installed packages: `use` raises the first, and `doctor` shows all
_OWNERS: dict[tuple[str, object], Plugin] = {}
_SINKS: dict[str, Callable[[Plugin, Any], None]] = {}


class Addition(NamedTuple):
    """What a plug-in adds to a table."""

    what: str
    table: dict[Any, Any]
    new: Mapping[Any, Any]


def use_installed() -> None:
    """Register every installed package that has entry points of caebench; its mistakes are kept for `use`."""
    found = [entry for group in ENTRY_POINTS.values() for entry in entry_points(group=group)]
    found.sort(key=lambda entry: (entry.dist.name if entry.dist else "", entry.value))
    for name, entries in groupby(found, key=lambda entry: entry.dist.name if entry.dist else ""):
        own = list(entries)
        version = own[0].dist.version if own[0].dist else ""
        try:
            _register(of_entry_points(name, version, own))
        except PluginError as error:
            PROBLEMS.append(str(error))


def use(modules: Iterable[str], folders: Sequence[Path] = (), where: str = "plugins") -> None:
    """Register plain modules, which are looked for in some folders, too.

    Raises:
        PluginError: one is not there, raises when it is imported, has no attribute of a plug-in, or a name of it is
            taken; or an installed plug-in is broken.
    """
    if problem := next(problems(modules, folders, where), None):
        raise PluginError(problem)


def problems(modules: Iterable[str], folders: Sequence[Path] = (), where: str = "plugins") -> Iterator[str]:
    """The same; what is wrong with each, one line each. The others are registered."""
    yield from PROBLEMS
    search_also(folders)
    for name in modules:
        if any(known.name == name and not known.is_package for known in USED):
            continue
        try:
            _register(of_module(name, where, folders))
        except PluginError as error:
            yield str(error)


def use_site(name: str = "local") -> None:
    """Register the plug-ins of a site, before anything else of its file is read; a file that is damaged has none.

    Raises:
        PluginError: one of them cannot be used.
    """
    use(*of_site(name))


def of_site(name: str) -> tuple[list[str], list[Path], str]:
    """The modules and folders that a site's file names, and the file in words; `Site` says what is wrong in it."""
    try:
        path = expand(SITES / f"{name}.toml")
        content = read_toml(path) if path.exists() else {}
        folders = [expand(Path(one)) for one in texts(content.get("plugins_path"))]
    except (ValueError, OSError):
        return [], [], name
    named = [module for module in texts(content.get("plugins")) if MODULE.fullmatch(module)]
    return named, folders, f"plugins in {path}"


def texts(value: Any) -> list[str]:
    """The texts in a list; none of what is no list."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType] each is looked at


def fill(group: str, what: str, table: dict[Any, Any]) -> None:
    """Add to a table what every plug-in has for it, now and later; `what`: a name in it, in words.

    Raises:
        PluginError: a plug-in cannot be imported, has no such table, or an entry of it is taken.
    """

    def add(plugin: Plugin, content: Any) -> None:
        add_to(plugin, [Addition(what, table, typed(plugin, group, content, Mapping, "a dict"))])

    connect(group, add)


def connect(group: str, add: Callable[[Plugin, Any], None]) -> None:
    """Have the object that plug-ins have for a group added, now and later.

    Raises:
        PluginError: as in `fill`.
    """
    _SINKS[group] = add
    for plugin in USED:
        _give(plugin, group)


def _register(plugin: Plugin) -> None:
    for group in GROUPS:
        if group in _SINKS:
            _give(plugin, group)
    USED.append(plugin)


def _give(plugin: Plugin, group: str) -> None:
    for place in plugin.places.get(group, ()):
        _SINKS[group](plugin, plugin.load(place))


def typed(plugin: Plugin, group: str, found: Any, kind: type[Any] | tuple[type[Any], ...], words: str) -> Any:
    """An object of a plug-in.

    Raises:
        PluginError: it is of another type.
    """
    if not isinstance(found, kind):
        raise PluginError(f"{plugin}: {GROUPS[group]} is of type {type(found).__name__}: give {words}.")
    return found


def _add_datasets(plugin: Plugin, content: Any) -> None:
    words = "a tuple of data sets (caebench.datasets.base.Dataset)"
    found: Sequence[Any] = typed(plugin, "datasets", content, (tuple, list), words)
    named: dict[str, Dataset] = {typed(plugin, "datasets", one, Dataset, words).name: one for one in found}
    add_to(plugin, [Addition("data set", DATASETS, named)])
    PUBLISHED.update({name: one for name, one in named.items() if one.published is not None})


def add_to(plugin: Plugin, additions: Sequence[Addition]) -> None:
    """Add to tables, if no name of all is taken; the same object under the same name is no clash.

    Raises:
        PluginError: a name is.
    """
    for what, table, new in additions:
        for name, value in new.items():
            if name in table and table[name] is not value:
                owner = _OWNERS.get((what, name))
                shown = name if isinstance(name, str) else name.__name__
                raise PluginError(
                    f"{plugin}: {what} '{shown}' is that of {owner or 'caebench itself'} already. Choose another name."
                )
    for what, table, new in additions:
        for name, value in new.items():
            if name not in table:
                table[name] = value
                _OWNERS[what, name] = plugin


def used() -> tuple[list[str], list[str]]:
    """The modules that this process uses as plug-ins, and where Python looks for them, for another process's `use`."""
    return [plugin.name for plugin in USED if not plugin.is_package], [path for path in sys.path if path]


def owner_of(what: str, name: object) -> Plugin | None:
    """The plug-in that a name of a table is from; None: caebench's own, or unknown."""
    return _OWNERS.get((what, name))


connect("datasets", _add_datasets)
