"""Suites with random damage: the check ends, in lines, and finds a mistake exactly where loading and planning do."""

import copy
import random
from pathlib import Path
from typing import Any

import pytest

from caebench.planning.checking import check_file
from caebench.planning.graph import make_plan
from caebench.planning.scale import SCALES
from caebench.suites import drafting, loading

PART = {"higher": "two/knn", "lower": ["one/knn"], "margin": 0.5}
GOOD: dict[str, Any] = {
    "source": {"title": "A suite", "table": 3},
    "pretrain": {"recipe": "cae", "epochs": 300},
    "columns": {"knn": {"header": "k-NN", "eval": "knn", "set": {"norm": False}}},
    "rows": [{"label": "one"}, {"label": "two", "target": "pixels", "set": {"method": {"align_weight": 1.0}}}],
    "claims": [{"statement": "Two is better", "section": "Sec. 1", "parts": [PART]}],
    "notes": ["A note."],
}
VALUES: list[Any] = [3, -1, True, 1.5, "x", "", [], {}, [1], {"a": 1}, ["x"], [{}], [[]], {"kind": "cae"}, {"a": {}}]
NAMES = ["set", "recipe", "target", "epochs", "sha256", "x", "id", "says", "variant", "data", "metric", "quoted"]
TRIES = 60


def places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in nested tables and lists."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(found for name, one in inner for found in places(one, (*place, name)))]


def damage(content: dict[str, Any], rng: random.Random) -> None:
    """Remove, replace or add one value."""
    *path, last = rng.choice([place for place in places(content) if place])
    owner: Any = content
    for part in path:
        owner = owner[part]
    what = rng.choice(["remove", "add", "replace"])
    if what == "remove":
        del owner[last]
    elif what == "add" and isinstance(owner, dict):
        owner[rng.choice(NAMES)] = copy.deepcopy(rng.choice(VALUES))
    else:
        owner[last] = copy.deepcopy(rng.choice(VALUES))


@pytest.mark.parametrize("seed", range(5))
def test_a_damaged_suite_is_checked_to_the_end(seed, monkeypatch):
    rng, path, refused = random.Random(seed), Path("mine.toml"), 0
    for _ in range(TRIES):
        content = copy.deepcopy(GOOD)
        for _ in range(rng.randint(0, 3)):
            damage(content, rng)
        for module in (drafting, loading):
            monkeypatch.setattr(module, "read_content", lambda path, content=content: copy.deepcopy(content))
        found = check_file(path).mistakes
        assert [line for line in found if not line.startswith("mine.toml") or "\n" in line] == [], content
        try:
            suite = loading.read(path)
            loading.check_elsewhere(suite)
            for scale in SCALES.values():
                make_plan(suite, scale)
        except ValueError:
            refused += 1
            assert found, content
        else:
            assert found == (), content
    assert 0 < refused < TRIES
