"""`caebench why` for people: what a job or a cell is, what it found, where it comes from, who depends on it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from caebench.files.layout import id_in

if TYPE_CHECKING:
    from caebench.cli.tables import Cell
    from caebench.report.cells import Place
    from caebench.report.table import Entry
    from caebench.store.store import Store

MOST = 12  # lines of a section that could have hundreds


class Section(NamedTuple):
    """A heading, and lines of a word and what is known of it."""

    title: str
    lines: "Sequence[tuple[str, Cell]]"


def print_page(title: str, sections: Sequence[Section], notes: Sequence[str]) -> None:
    """Headings with their lines on a terminal; piped, lines of section, word and value between tabs."""
    from rich.text import Text

    from caebench.cli.folding import as_text, fold
    from caebench.cli.show import LEAST, folded, page, print_line, print_table

    out = page()
    if out is None:
        rows = [[section.title, word, value] for section in sections for word, value in section.lines]
        print_table(title, ["section", "what", "value"], rows, notes)
        return
    width = max(out.width, LEAST)
    lines = fold(as_text(title), width)
    for line in lines:
        line.stylize("bold")
    for section in sections:
        lines += [Text(), Text(section.title, "bold")] if section.lines else []
        room = max((len(word) for word, _ in section.lines), default=0) + 2
        for word, value in section.lines:
            parts = fold(as_text(value), width - room - 2)
            lines += [Text(f"  {(word if n == 0 else ''):{room}}").append_text(part) for n, part in enumerate(parts)]
    for line in [*lines, Text(), *folded(notes, width)]:
        print_line(out, line)


# ---- a job ----------------------------------------------------------------------------------------------------------


def print_job(
    facts: Mapping[str, Any], store: "Store", places: "Sequence[Place]", shown: str, notes: list[str]
) -> None:
    """A job's page; `shown` is its number as tables show it."""
    folder = Path(facts["folder"])
    kind = facts.get("kind", folder.parent.name)
    sections = [
        Section("What it is", [*_what(facts, kind), *([("result", shown)] if shown else [])]),
        Section("In tables", _places(places)),
        Section("Set by the suite, in place of the recipe's value", _pairs(places[0].changes if places else ())),
        Section("Inputs", [(role, _job(store, name)) for role, name in facts.get("inputs", {}).items()]),
        Section("Needed by", _dependents(store, folder)),
        Section("Made by", _made(facts)),
        Section("Attempts", _attempts(folder)),
        Section("Files", _files(folder, store)),
        Section("Most similar job", _nearest(facts.get("nearest"))),
        Section("Failure", _failure(facts)),
    ]
    print_page(f"{folder.parent.name}/{folder.name}", _failure_first(sections), notes)


def _failure_first(sections: list[Section]) -> list[Section]:
    first, *others, failure = sections
    return [first, failure, *others]


def _what(facts: Mapping[str, Any], kind: str) -> "list[tuple[str, Cell]]":
    from caebench.cli.show import coloured

    config: dict[str, Any] = facts.get("config", {})
    data: dict[str, Any] = config.get("data") or {}
    lines: list[tuple[str, Cell]] = [("state", coloured(facts["state"])), ("kind", kind.replace("_", " "))]
    lines += [("data", f"{data['name']} ({data['kind']})")] if "name" in data and "kind" in data else []
    lines += [(name, str(config[name])) for name in ("variant", "seed") if name in config]
    lines += [("to do again", facts["changed_input"])] if facts.get("changed_input") else []
    return lines


def _places(places: "Sequence[Place]") -> "list[tuple[str, Cell]]":
    lines: list[tuple[str, Cell]] = [
        (f"{place.suite}, {place.scale}", f"{place.row} / {place.column or 'pretraining of all columns'}")
        for place in places[:MOST]
    ]
    return lines + ([("", f"{len(places) - MOST} more cells")] if len(places) > MOST else [])


def _pairs(changes: Sequence[str]) -> "list[tuple[str, Cell]]":
    return [(name, value) for name, _, value in (change.partition(": ") for change in changes)]


def _job(store: "Store", name: str) -> str:
    folder = store.at(name)
    state = store.state_at(folder) if folder.exists() else "not here"
    return f"{id_in(name)}, {state}, {name.rpartition('-')[0]}"


def _dependents(store: "Store", folder: Path) -> "list[tuple[str, Cell]]":
    """What depends on it, directly or not, by kind and state."""
    from collections import Counter

    counts = Counter((path.parent.name, store.state_at(path)) for path in store.dependents(folder))
    return [(kind, f"{number} {state}") for (kind, state), number in sorted(counts.items())]


def _made(facts: Mapping[str, Any]) -> "list[tuple[str, Cell]]":
    from caebench.planning.duration import show_time

    made, result = facts.get("provenance", {}), facts.get("result", {})
    commit = str(made.get("commit") or "")[:12]
    tree = " and changes that were not committed" if made.get("dirty") else ""
    packages = ("torch", "torchvision", "timm")
    versions = ", ".join(f"{name} {made['packages'][name]}" for name in packages if made.get("packages", {}).get(name))
    processes = f", {made['processes']} processes" if made.get("processes", 1) != 1 else ""
    found = {
        "commit": commit + tree if commit else "",
        "versions": versions,
        "device": f"{made['device']}{processes}, host {made.get('host')}" if made.get("device") else "",
        "finished": str(result.get("finished") or ""),
        "took": show_time(seconds) if isinstance(seconds := result.get("seconds"), int | float) else "",
        "data": ", ".join(f"{name} {mark}" for name, mark in result.get("fingerprints", {}).items()),
    }
    return [(name, value) for name, value in found.items() if value]


def _attempts(folder: Path) -> "list[tuple[str, Cell]]":
    from caebench.store.state import attempts

    tries = attempts(folder)
    words = [(str(t["begins"]), str(t.get("outcome") or t.get("stopped_by") or "no end is known")) for t in tries]
    return [*words[-MOST:]]


def _files(folder: Path, store: "Store") -> "list[tuple[str, Cell]]":
    from caebench.execution.schedulers.registry import log_files
    from caebench.files.layout import METRICS

    lines: list[tuple[str, Cell]] = [("folder", str(folder))]
    lines += [("metrics", METRICS)] if (folder / METRICS).exists() else []
    return [*lines, *(("log", str(path)) for path in log_files(folder, store.root)[-1:])]


def _nearest(found: Mapping[str, Any] | None) -> "list[tuple[str, Cell]]":
    if found is None:
        return []
    changes: list[str] = found["differs in"]
    more: list[tuple[str, Cell]] = [("", f"{len(changes) - MOST} more fields")] if len(changes) > MOST else []
    return [("job", found["job"]), *_pairs(changes[:MOST]), *more]


def _failure(facts: Mapping[str, Any]) -> "list[tuple[str, Cell]]":
    from caebench.files.visible import in_one_line

    failure = facts.get("failure", {})
    found = {"error": in_one_line(str(failure.get("error", ""))), "trace": str(failure.get("trace", "")).rstrip()}
    return [(name, value) for name, value in found.items() if value] if facts["state"] == "failed" else []


# ---- a cell ---------------------------------------------------------------------------------------------------------


def print_cell(facts: Mapping[str, Any], entry: "Entry", notes: list[str]) -> None:
    """A cell's page."""
    from caebench.report.render import text

    value = text(entry).plain() if entry.estimate is not None else entry.state
    found = {
        "value": value,
        "metric": f"{facts['metric']}, fixed beforehand; in brackets the best of {facts['best_of']}"
        if facts["best_of"] and facts["best"] is not None
        else facts["metric"],
        "noise": _noise(facts),
        "published": "; ".join(
            f"{name}: {number}" for name, number in facts["published"].items() if number is not None
        ),
        "compared": f"{facts['verdict']}, {facts['gap']:+.2f}" if facts["gap"] is not None else "",
        "deviates": "; ".join(facts["deviations"]),
    }
    made: dict[str, str] = facts["protocol"] or {}
    sections = [
        Section("Cell", [(name, value) for name, value in found.items() if value]),
        *(_number_section(number, len(facts["numbers"]) > 1) for number in facts["numbers"]),
        Section("Inputs", _inputs(facts["numbers"])),
        Section("How it is made", [(name, value) for name, value in made.items() if value]),
    ]
    print_page(
        f"{facts['suite']} / {facts['row']} / {facts['header']}, {facts['scale'].upper()} scale", sections, notes
    )


def _noise(facts: Mapping[str, Any]) -> str:
    if facts["spread"] is None:
        return ""
    source, seeds = facts["noise_from"], f"{facts['n']} seed{'s' if facts['n'] > 1 else ''}"
    whose = {"evaluation": "standard error of the evaluation set alone", "seeds": "deviation over seeds"}
    return f"+- {facts['spread']:.2g}, {whose.get(source, source)}; {seeds}"


def _number_section(number: Mapping[str, Any], has_seeds: bool) -> Section:
    tree = ", with changes that were not committed" if number["dirty"] else ""
    lines = {
        "id": id_in(number["job"]),
        "name": number["job"],
        "state": number["state"],
        "what is wrong": number["detail"],
        "value": "" if number["value"] is None else f"{number['value']:.4g}" if has_seeds else "",
        "commit": f"{number['commit'][:12]}{tree}" if number["commit"] else "",
        "finished": number["finished"],
        "metrics": number["log"],
    }
    return Section(
        f"Job, seed {number['seed']}" if has_seeds else "Job",
        [(name, str(value)) for name, value in lines.items() if value],
    )


def _inputs(numbers: Sequence[Mapping[str, Any]]) -> "list[tuple[str, Cell]]":
    """Every job that the numbers depend on, once."""
    found = {one["job"]: one for number in numbers for one in number["depends_on"]}
    return [(id_in(name), f"{one['state']}, {re.sub(r'-[0-9a-f]{10}$', '', name)}") for name, one in found.items()]
