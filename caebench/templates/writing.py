"""From a template and a name to files: a package for a method or an evaluation, one file for a suite."""

import ast
import keyword
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template

from caebench.datasets.registry import DATASETS
from caebench.files.atomic import replacing, write_text
from caebench.files.paths import SITES
from caebench.files.toml import brief, inline
from caebench.specs.methods.base import METHODS
from caebench.specs.plugin import find
from caebench.specs.plugins import of_site
from caebench.specs.registry import EVALUATIONS, KINDS, SOURCES
from caebench.suites.files import suite_files

HERE = Path(__file__).parent
PLACE, ENDING = "NAME", ".txt"  # in paths of templates: the name, and what keeps tools from reading them as code


def write_package(kind: str, name: str, out: Path) -> Path:
    """A package for a method or an evaluation, in a folder of its name.

    Raises:
        ValueError: the name cannot be taken, or the folder is there.
    """
    check_name(kind, name)
    folder = _free(out, name)
    with replacing(folder) as partial:
        for path, text in _filled(kind, name):
            (partial / path).parent.mkdir(parents=True, exist_ok=True)
            (partial / path).write_text(text, encoding="utf8")
    return folder


def write_suite(name: str, out: Path) -> Path:
    """A suite file.

    Raises:
        ValueError: the name cannot be taken, or the file is there.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ValueError(f"'{brief(name)}' is no name of a suite. Use letters, digits, hyphens and underscores.")
    if name in (*suite_files(), "all"):
        raise ValueError(f"'{name}' is a suite already. Choose another name.")
    ((path, text),) = _filled("suite", name)
    target = _free(out, str(path))
    write_text(target, text)
    return target


def check_name(kind: str, name: str) -> None:
    """Whether a package, a recipe and a class can have this name.

    Raises:
        ValueError: they cannot.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or keyword.issoftkeyword(name):
        do = "Use small letters, digits and underscores, and begin with a letter: my_method"
        raise ValueError(f"'{brief(name)}' cannot be a Python package and a function. {do}.")
    tables = {
        "method": METHODS,
        "recipe": SOURCES,
        "evaluation": EVALUATIONS,
        "kind of job": KINDS,
        "data set": DATASETS,
    }
    taken = [f"a {what}".replace("a e", "an e") for what, table in tables.items() if name in table]
    if taken or name in suite_files():
        raise ValueError(f"'{name}' is {taken[0] if taken else 'a suite'} already. Choose another name.")
    if name == "caebench" or find(name) is not None:
        raise ValueError(f"'{name}' is a Python module already, which the package would hide. Choose another name.")
    if {name, class_name(name)} & _names_used(kind):
        raise ValueError(f"'{name}' is a name that the package uses for something else. Choose another name.")


def class_name(name: str) -> str:
    """`my_method` as a class: `MyMethod`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def site_lines(name: str, folder: Path, site: str = "local") -> tuple[Path, list[str]]:
    """A site's file, and the lines in it by which the package is found, next to the plug-ins that it names already."""
    modules, folders, _ = of_site(site)
    modules = list(dict.fromkeys([*modules, name]))
    places = list(dict.fromkeys([*map(str, folders), str(folder.absolute())]))
    return SITES / f"{site}.toml", [f"plugins = {inline(modules)}", f"plugins_path = {inline(places)}"]


def _filled(kind: str, name: str) -> Iterator[tuple[Path, str]]:
    """The files of a template, with the name in paths and texts."""
    root = HERE / kind
    for path in sorted(root.rglob(f"*{ENDING}")):
        target = str(path.relative_to(root)).removesuffix(ENDING).replace(PLACE, name)
        text = path.read_text(encoding="utf8")
        filled = Template(text).substitute({"name": name, "Class": class_name(name)})
        yield Path(target), filled


def _names_used(kind: str) -> set[str]:
    """The names in a template's own code."""
    own, found = "a_name_of_nobody", set[str]()
    for path, text in _filled(kind, own):
        for node in ast.walk(ast.parse(text)) if path.suffix == ".py" else ():
            found.update(_names_of(node))
    return found - {own, class_name(own)}


def _names_of(node: ast.AST) -> Sequence[str]:
    match node:
        case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
            return [name]
        case ast.Attribute(attr=name):
            return [name]
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return [one.asname or one.name for one in names]
        case _:
            return []


def _free(out: Path, name: str) -> Path:
    """A path where nothing is.

    Raises:
        ValueError: something is, or the folder is not there.
    """
    if not out.is_dir():
        raise ValueError(f"--out {out}: no such folder. Make it, or name another.")
    path = out / name
    if path.exists() or path.is_symlink():
        raise ValueError(f"{path}: already exists, and nothing is overwritten. Choose another name, or --out.")
    return path
