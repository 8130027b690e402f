"""Suite files, and CSV files of published numbers."""

import tomllib
from pathlib import Path
from random import Random

from tests.fuzz.case import Case, Content
from tests.fuzz.damage import damaged, no_file
from tests.fuzz.kinds.base import Files
from tests.fuzz.values import changed, reworded, text, toml_text

SUITE = "work/mine.toml"
NUMBERS = "work/mine.csv"
SMALL = b"""\
notes = ["A note."]
source = { title = "Mine", table = 5 }
pretrain = { recipe = "cae", variant = "vit_b", epochs = 300 }
columns.linear = { header = "LIN", eval = "linear_probe", published = "LIN" }
columns.knn = { header = "k-NN", eval = "knn", set.feature = "mean", note = "Mean of the patches." }
rows = [
    { id = "T5-dec_yes-align_yes", label = "CAE" },
    { label = "CAE, no alignment", set.method.align_weight = 0.0 },
    { label = "MAE", recipe = "mae" },
    { label = "DINO", quoted = true },
]
[[claims]]
statement = "Alignment helps"
section = "Sec. 5.3"
parts = [{ higher = "T5-dec_yes-align_yes/linear", lower = "CAE, no alignment/linear", margin = 0.5 }]
"""
IMPORTED = b"""\
source = { title = "Theirs" }
pretrain = { recipe = "imported" }
columns.att = { header = "ATT", eval = "attentive_probe" }
rows = [{ label = "MAE", sha256 = "%s", family = "mae", variant = "vit_b" }, { label = "R", recipe = "random" }]
""" % (b"0" * 64)
CSV = b"row_id,metric,value,source,method\nT5-dec_yes-align_yes,LIN,64.1,Table 5,CAE\nDINO,LIN,70.1,Table 5,DINO\n"
FREE = ("label", "note", "notes", "header", "statement", "section", "title", "paper")  # texts that may say anything
VERBS = (
    *(("plan", "{}"), ("plan", "{}", "--json"), ("plan", "{}", "--scale", "paper"), ("status", "{}")),
    *(("report", "--suite", "{}", "--format", name) for name in ("rich", "md", "tex", "csv", "json")),
    *(("run", "suite", "{}", "--dry-run"), ("report", "--suite", "{}", "--missing")),
    *(("report", "--suite", "{}", "--out", "../out"), ("records", "export", "{}", "--results", "../out")),
)


class Suites:
    """Suite files of other people."""

    name = "suite"
    needs_torch = False

    def base(self, scratch: Path) -> Files:
        own = Path(__file__).parents[3] / "suites"
        bundled = {f"data/{path.name}": path.read_bytes() for path in sorted(own.glob("*.toml"))}
        small = {name: content for name, content in bundled.items() if len(content) < 4000}
        return {SUITE: SMALL, "data/imported.toml": IMPORTED, NUMBERS: CSV, **small}

    def case(self, rng: Random, base: Files) -> Case:
        seeds = [SMALL, SMALL, IMPORTED, *(content for name, content in base.items() if name.startswith("data/"))]
        if rng.random() < 0.08:
            content = no_file(rng) if rng.random() < 0.2 else damaged(rng, CSV, seeds)
            return Case(self.name, ("report", "--suite", "mine.toml", "--vs", "mine.csv"), {NUMBERS: content})
        words = rng.choice(VERBS)
        return Case(self.name, tuple(word.format("mine.toml") for word in words), {SUITE: _content(rng, seeds)})


def _content(rng: Random, seeds: list[bytes]) -> Content:
    seed, draw = rng.choice(seeds), rng.random()
    if draw < 0.03:
        return no_file(rng)
    if draw < 0.35:
        return damaged(rng, seed, seeds)
    tree = tomllib.loads(seed.decode())
    tree = reworded(rng, tree, FREE) if draw > 0.7 else changed(rng, tree, rng.choice([1, 1, 1, 2]))
    made = toml_text(tree if isinstance(tree, dict) else {text(rng): tree}).encode(errors="surrogatepass")
    return damaged(rng, made, seeds) if draw > 0.97 else made
