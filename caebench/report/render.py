"""A table as a document, and the document as Markdown or plain cells; CSV and JSON are in `facts`, LaTeX in `latex`.

Tables at nano and lab say their scale in the title, and never show a gap to the paper.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from caebench.files.visible import in_one_line
from caebench.planning.graph import Plan
from caebench.report.claims import Judgement, PartResult, seeds_text
from caebench.report.draws import notes_on_draws, num_draws
from caebench.report.statistics import Mark
from caebench.report.table import Entry
from caebench.specs.inputs.dataset import SyntheticData
from caebench.specs.inputs.random_encoder import RandomEncoder
from caebench.specs.inputs.tokenizer import DVAE
from caebench.specs.pretrain import Pretrain

Rows = list[list[Entry]]
NOT_FOUND, NOT_LOOKED_UP = "not found", "-"  # in place of a published number
DAGGER = "†"  # marks a number that deviates from its column's protocol, in cells and notes of every format
MARKUP = re.compile(  # what Markdown would not print; `_` inside a word, and `[` without `(`, it does
    r"[\\`*|~$]|(?<![^\W_])_|_(?![^\W_])|<(?=[A-Za-z/!?])|&(?=#?\w+;)|\](?=[(\[])|!(?=\[)"
)
OPENING = re.compile(r"^(\d+)(?=[.)](\s|$))|^(?=[-+#>\[])")  # of a list, a heading, a quotation or a checkbox


@dataclass(frozen=True)
class Text:
    """The text of a cell, before a format styles it."""

    ours: str
    theirs: tuple[str, ...] = ()  # in parentheses, one per published set
    mark: Mark = ""
    deviates: bool = False
    quoted: bool = False  # the mark belongs to the first number in parentheses

    def styled(self, look: Callable[[str, Mark], str], dagger: str = DAGGER) -> str:
        """In a format's style for best and second, with its way to write the dagger."""
        ours = (self.ours if self.quoted else look(self.ours, self.mark)) + (dagger if self.deviates else "")
        first, *others = self.theirs or ("",)
        shown = "; ".join([look(first, self.mark) if self.quoted else first, *others])
        return f"{ours} ({shown})" if self.theirs else ours

    def plain(self) -> str:
        """Without any style."""
        return self.styled(lambda words, mark: words)


@dataclass(frozen=True)
class Grid:
    """A titled table of texts; the first column is a label, and the others are numbers or words."""

    title: str
    header: list[str]
    rows: list[list[Text]]
    words: bool = False


@dataclass(frozen=True)
class Document:
    """A suite's table, its notes, and its comparison with the paper."""

    main: Grid
    notes: list[str]
    more: list[Grid]


def document(plan: Plan, rows: Rows, claims: Sequence[tuple[Judgement, Judgement]]) -> Document:
    """The full report of a suite; `claims` are judged on our numbers and on the published ones."""
    main = Grid(title(plan, rows), header(plan), [[Text(row[0].row.label), *map(text, row)] for row in rows])
    more = [grid for grid in (_verdicts(plan, rows), _claims(claims)) if grid.rows]
    return Document(main, notes(plan, rows), more)


def title(plan: Plan, rows: Rows) -> str:
    """The table's headline, with its scale."""
    number = f"Table {plan.suite.table}: " if plan.suite.table else ""
    seeds = _seeds(sorted({number.seed for row in rows for entry in row for number in entry.numbers}))
    draws = num_draws(entry.estimate for row in rows for entry in row)
    seeds += f", {draws} draws of few-shot data" if draws else ""
    subsets = "".join(f", {name} subset {subset.fingerprint}" for name, subset in plan.subsets.items())
    own = "".join(f", {name} {contents.fingerprint}" for name, contents in plan.own_data.items())
    return f"{number}{plan.suite.title} [{plan.scale.name.upper()} scale{subsets}{own}{seeds}]"


def _seeds(found: list[int]) -> str:
    """How many seeds a table has; which, if they are not the first ones."""
    if found in ([], [0]):
        return ""
    if found == list(range(len(found))):
        return f", {len(found)} seeds"
    return f", seed{'s' if len(found) > 1 else ''} {', '.join(map(str, found))}"


def header(plan: Plan) -> list[str]:
    """Column headings."""
    return ["", *(column.header for column in plan.suite.columns.values())]


def text(entry: Entry) -> Text:
    """The text of a cell; it says if only some seeds are done."""
    theirs = tuple(_shown(published) for published in entry.published.values())
    return Text(_ours(entry), theirs, entry.mark, bool(entry.deviations), entry.state == "quoted")


def _shown(published: Any) -> str:
    """A published number, or why there is none."""
    if published is None:
        return NOT_LOOKED_UP
    return NOT_FOUND if published.value is None else repr(published.value)


def _ours(entry: Entry) -> str:
    if entry.estimate is None:
        return "-" if entry.state == "quoted" else entry.state
    digits = _digits(entry)
    spread = f" +- {entry.spread:.{digits}f}" if entry.spread is not None else ""
    done, asked = len(entry.estimate.runs), len(entry.numbers)
    missing = f" [{done} of {asked}]" if done < asked else ""
    best = f" [{entry.best:.{digits}f}]" if entry.best is not None else ""
    return f"{entry.estimate.mean:.{digits}f}{spread}{best}{missing}"


def _digits(entry: Entry) -> int:
    return 2 if entry.column.metric.endswith("_ratio") else 1


# ---- under the table ------------------------------------------------------------------------------------------------


def notes(plan: Plan, rows: Rows) -> list[str]:
    """The notes under the table."""
    cells = [entry for row in rows for entry in row]
    own = [*plan.notes, *plan.suite.notes, *_column_notes(plan)]
    lines = [*_scale_notes(plan), *_number_notes(cells, bool(plan.suite.claims)), *own, *_rate_notes(rows)]
    return [*lines, *deviation_notes(cells)]


def _scale_notes(plan: Plan) -> list[str]:
    subsets = [
        f"{name}: a subset with {subset}. Compare its numbers with each other, neither with the paper's nor with those "
        "on the whole set."
        for name, subset in plan.subsets.items()
    ]
    own = [f"{name}: a folder of this site with {contents}." for name, contents in plan.own_data.items()]
    if plan.scale.name == "paper":
        return [*subsets, *own]
    data = "real data" if plan.scale.world is None else "synthetic data"
    aim = "" if plan.scale.world is None else "This table shows that the pipeline works. "
    return [
        f"{plan.scale.name.upper()}: {data} and small encoders. {aim}Compare rows with each other, not with the paper.",
        *subsets,
        *own,
        *_stand_ins(plan),
        *_milder(plan),
    ]


def _milder(plan: Plan) -> list[str]:
    """What the scale reduces in fine-tuning, if the plan fine-tunes."""
    said = dict.fromkeys(job.config.scale_note(plan.scale) for job in plan.jobs)
    return [f"Fine-tuning is scaled down as well: {note}." for note in said if note]


def _stand_ins(plan: Plan) -> list[str]:
    """The stand-ins in the jobs of this plan."""
    configs = [job.config for job in plan.jobs]
    data = sorted({config.name for config in configs if isinstance(config, SyntheticData)})
    broad = any(isinstance(config, DVAE) and config.data.dataset.published is None for config in configs)
    used = {config.variant for config in configs if isinstance(config, Pretrain | RandomEncoder)}
    encoders = [f"{small} for {large}" for large, small in plan.scale.variants.items() if small in used]
    parts = [
        f"rendered pictures for {', '.join(data)}" if data else "",
        f"encoders {', '.join(encoders)}" if encoders else "",
        "a d-VAE trained on a broader rendered set for DALL-E's encoder" if broad else "",
    ]
    found = "; ".join(part for part in parts if part)
    return [f"Stand-ins: {found}."] if found else []


def _number_notes(cells: list[Entry], has_claims: bool) -> list[str]:
    """What the signs in the cells mean: of those that occur."""
    lines: list[str] = []
    if sets := list(dict.fromkeys(name for entry in cells for name in entry.published)):
        blank = any(published is None for entry in cells for published in entry.published.values())
        missing = f"; {NOT_LOOKED_UP}: not looked up" if blank else ""
        lines.append(f"In parentheses, at paper scale: {'; '.join(sets)}{missing}.")
    sources = {entry.estimate.source for entry in cells if entry.estimate and entry.spread is not None}
    if "seeds" in sources:
        some = any(entry.estimate and len(entry.estimate.values) < len(entry.numbers) for entry in cells)
        partly = "; [n of m]: only n of m seeds are done" if some else ""
        lines.append(f"Mean +- sample standard deviation over seeds{partly}.")
    if "pooled" in sources:
        lines.append(
            "With two seeds, +- is the deviation over seeds pooled over all the column's rows, assuming equal variance."
        )
    lines += notes_on_draws(entry.estimate for entry in cells)
    if "evaluation" in sources:
        lines.append(
            "With fewer than three seeds, +- is the standard error of the evaluation set alone, without the variance "
            "over seeds." + (" Claims on such numbers are suggested at most." if has_claims else "")
        )
    if choices := _best_of(cells):
        lines.append(
            f"Square brackets: the best of several results on the evaluation set ({'; '.join(choices)}). Marks, "
            "verdicts and claims use the number before it: the last epoch, k = 20, the median over rates, or the "
            "head chosen on held-out images."
        )
    if any(entry.mark for entry in cells):
        lines.append(
            "Bold: best of the column, and rows that noise cannot tell from it. Underlined or italic: the only second."
        )
    return lines


def _best_of(cells: list[Entry]) -> list[str]:
    """`LIN: of 90 epochs`, each once."""
    found = (f"{e.column.header}: of {e.choice.of}" for e in cells if e.choice is not None and e.best is not None)
    return list(dict.fromkeys(found))


def _column_notes(plan: Plan) -> list[str]:
    return [f"{column.header}: {column.note}" for column in plan.suite.columns.values() if column.note]


def _rate_notes(rows: Rows) -> list[str]:
    """The result of each learning rate, one line per row and column: the table has only the median and the best."""
    return [
        f"{entry.column.header}, {entry.row.label}, by learning rate: "
        + ", ".join(f"{value:.1f} at {rate:g}" for rate, value in entry.rates.items())
        for row in rows
        for entry in row
        if entry.rates
    ]


def deviation_notes(cells: list[Entry]) -> list[str]:
    """One line per kind of deviation, with its cells."""
    where: dict[str, list[str]] = {}
    for entry in cells:
        for line in entry.deviations:
            where.setdefault(line, []).append(f"{entry.row.label}/{entry.column.header}")
    return [f"{DAGGER} deviates from its column's protocol: {line} ({_few(names)})" for line, names in where.items()]


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _verdicts(plan: Plan, rows: Rows) -> Grid:
    lines = [
        [
            Text(entry.row.label),
            *map(Text, (entry.column.header, f"{entry.estimate.mean:.{_digits(entry)}f}", _shown(entry.theirs))),
            *map(Text, (f"{entry.verdict.gap:+.{_digits(entry)}f}", entry.verdict.text())),
        ]
        for row in rows
        for entry in row
        if entry.verdict is not None and entry.estimate is not None
    ]
    return Grid("Compared with the published numbers", ["row", "column", "ours", "published", "gap", "verdict"], lines)


def _claims(claims: Sequence[tuple[Judgement, Judgement]]) -> Grid:
    lines = [
        [Text(ours.claim.statement), *map(Text, (ours.claim.section, ours.status, *_decisive(ours), theirs.status))]
        for ours, theirs in claims
    ]
    columns = ["claim", "section", "here", "difference [95 %]", "seeds", "on the published numbers"]
    return Grid("Claims", columns, lines, True)


def _decisive(judgement: Judgement) -> tuple[str, str]:
    """Difference and seeds of the deciding part: the first one with the claim's status."""
    part = next(part for part in judgement.parts if part.status == judgement.status)
    return _difference(part), "-" if part.difference is None else seeds_text(part)


def _difference(part: PartResult) -> str:
    if part.difference is None:
        return f"no number for {part.missing[0]}"
    if part.low is None or part.high is None:
        return f"{part.difference:+.1f}, noise unknown"
    needed = f", {part.seeds_to_decide} seeds would decide" if part.seeds_to_decide else ""
    return f"{part.difference:+.1f} [{part.low:+.1f}, {part.high:+.1f}]{needed}"


# ---- formats --------------------------------------------------------------------------------------------------------


def markdown(found: Document) -> str:
    """Markdown as GitHub renders it."""
    parts = [_markdown_grid(found.main), "\n".join(f"- {_note(note)}" for note in found.notes)]
    return "\n\n".join([*parts, *map(_markdown_grid, found.more)]) + "\n"


def _markdown_grid(grid: Grid) -> str:
    rule = ["---", *["---" if grid.words else "---:"] * (len(grid.header) - 1)]
    body = [list(map(_literal, grid.header)), rule, *([_markdown_text(text) for text in row] for row in grid.rows)]
    return f"**{_literal(grid.title)}**\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in body)


def _markdown_text(text: Text) -> str:
    return text.styled(_markdown_look)


def _markdown_look(words: str, mark: Mark) -> str:
    sign = {"best": "**", "second": "_", "": ""}[mark]
    return sign + _literal(words).replace("+-", "±") + sign


def _note(text: str) -> str:
    return OPENING.sub(r"\1\\", _literal(text))


def _literal(text: str) -> str:
    """Text that Markdown prints as it is."""
    return MARKUP.sub(r"\\\g<0>", in_one_line(text))
