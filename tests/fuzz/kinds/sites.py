"""Site files, and the calibrations next to them."""

import json
import tomllib
from pathlib import Path
from random import Random

from tests.fuzz.case import Case, Content
from tests.fuzz.damage import damaged, no_file
from tests.fuzz.kinds.base import Files
from tests.fuzz.kinds.suites import SMALL, SUITE
from tests.fuzz.values import changed, json_text, text, toml_text

SITE = "home/.config/caebench/sites/mine.toml"
CALIBRATION = "home/.config/caebench/sites/mine.calibration.json"
HERE = b"""\
store = "../store"
scale = "nano"
per_device_batch = 64
resize = "loader"
code_cache_gb = 2.5
checkpoint_minutes = 5.0
[per_device_batch_of]
vit_l = 32
[data]
imagenet1k = "../data"
coco = "~/coco"
[assets]
dalle_encoder = "$HOME/encoder.pkl"
folder = "../data"
"""
CLUSTER = b"""\
store = "/shared/caebench"
scale = "paper"
shard = true
[data]
imagenet1k = "/data/imagenet"
[slurm]
partition = "gpu"
gpus_per_node = 8
"""
MEASURED = {
    **{"device": "NVIDIA A100", "measured": "2026-11-30", "training": 1e14, "frozen": 1.5e14, "variant": "vit_b"},
    **{"batch": 256, "precision": "bf16", "commit": None},
}
VERBS = (
    *(("plan", "mine.toml"), ("plan", "mine.toml", "--json"), ("status",), ("run", "suite", "mine.toml", "--dry-run")),
    *(("report", "--suite", "mine.toml"), ("report", "--suite", "mine.toml", "--missing"), ("assets", "list")),
    *(("assets", "verify"), ("data", "check", "imagenet1k"), ("status", "mine.toml"), ("why", "0123456789")),
    *(("site", "check"), ("logs", "0123456789"), ("retry", "mine.toml"), ("cancel", "mine.toml", "--yes")),
    *(("ckpt", "export", "0123456789", "--to", "timm"), ("doctor",), ("diff", "cae", "mae")),
)


class Sites:
    """Site files."""

    name = "site"
    needs_torch = False

    def base(self, scratch: Path) -> Files:
        return {SITE: HERE, SUITE: SMALL, CALIBRATION: json.dumps(MEASURED).encode(), "home/encoder.pkl": b"x"}

    def case(self, rng: Random, base: Files) -> Case:
        words = rng.choice(VERBS)
        site = ("mine",) if words == ("site", "check") else ("--site", "mine")
        files = {CALIBRATION: _calibration(rng)} if rng.random() < 0.15 else {SITE: _content(rng)}
        return Case(self.name, (*words, *site), files)


def _content(rng: Random) -> Content:
    seed, draw = rng.choice([HERE, HERE, CLUSTER]), rng.random()
    if draw < 0.03:
        return no_file(rng)
    if draw < 0.35:
        return damaged(rng, seed, [HERE, CLUSTER, SMALL])
    tree = changed(rng, tomllib.loads(seed.decode()), rng.choice([1, 1, 1, 2]))
    return toml_text(tree if isinstance(tree, dict) else {text(rng): tree}).encode(errors="surrogatepass")


def _calibration(rng: Random) -> Content:
    if rng.random() < 0.1:
        return no_file(rng)
    content = json_text(rng, changed(rng, MEASURED))
    return damaged(rng, content, [content]) if rng.random() < 0.3 else content
