"""Values that a reader may not expect, and changes of one place in nested values."""

import copy
import json
from collections.abc import Collection, Iterator
from random import Random
from typing import Any

CONTROLS = (
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "\x9b2J",
    "a\rb",
    "a\nb",
    "\x7f",
    "\u202egpj.exe",
    "\u2028",
    "\x00",
    "a\tb",
)
MARKUP = (
    "[red]x[/red]",
    "[/]",
    "[link=file:///etc]x[/]",
    "<b>x</b>",
    "a | b",
    "`x`",
    "$x^2$",
    "\\input{/etc/passwd}",
    "&_%#{}",
)
PATHS = (
    *(
        "/etc/passwd",
        "../../../etc/passwd",
        "..",
        ".",
        "",
        "~",
        "~nobody",
        "~root/x",
        "$HOME",
        "$NOT_SET/x",
        "${HOME}/x",
    ),
    *(
        "/dev/null",
        "/dev/null/x",
        "/nonexistent/x",
        "//x",
        "a//b",
        "./a",
        "a/../b",
        "x" * 300,
        "a\x00b",
        "-rf",
        "--help",
    ),
)
WORDS = (
    " ",
    "nan",
    "inf",
    "true",
    "null",
    "0",
    "-1",
    "1e999",
    "%s%n",
    "{0}",
    "é" * 50,
    "名前",
    "🙂",
    "x" * 5000,
    "CAE ",
    "cae",
)
TEXTS = (*CONTROLS, *MARKUP, *PATHS, *WORDS)
NUMBERS = (
    *(0, -1, 1, 2, 3, 255, 2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400),
    *(0.5, -0.0, 1e-320, 1e308, float("nan"), float("inf"), float("-inf"), 101.0, 1e16),
)
Path = tuple[str | int, ...]


def text(rng: Random) -> str:
    """A string: one of the list, or some of its parts together."""
    if rng.random() < 0.7:
        return rng.choice(TEXTS)
    return "".join(rng.choice(TEXTS)[: rng.randint(1, 20)] for _ in range(rng.randint(1, 4)))


def number(rng: Random) -> int | float:
    """A number of the list, or any other."""
    return rng.choice(NUMBERS) if rng.random() < 0.7 else rng.choice([rng.randint(-1000, 1000), rng.uniform(-200, 200)])


def value(rng: Random, depth: int = 2) -> Any:
    """Any value that JSON has."""
    kind = rng.randrange(7 if depth else 4)
    if kind == 0:
        return text(rng)
    if kind == 1:
        return number(rng)
    if kind == 2:
        return rng.choice([None, True, False])
    if kind == 3:
        return rng.choice([[], {}, "", 0])
    if kind == 4:
        return nested(rng.choice([5, 60, 150]))
    items = [value(rng, depth - 1) for _ in range(rng.randint(0, 3))]
    return items if kind == 5 else {text(rng): item for item in items}


def nested(depth: int) -> Any:
    """Lists within lists."""
    found: Any = []
    for _ in range(depth):
        found = [found]
    return found


def paths(tree: Any, at: Path = ()) -> Iterator[Path]:
    """The places in nested values."""
    yield at
    if isinstance(tree, dict):
        for name, inner in tree.items():
            yield from paths(inner, (*at, name))
    elif isinstance(tree, list):
        for index, inner in enumerate(tree):
            yield from paths(inner, (*at, index))


def get(tree: Any, path: Path) -> Any:
    """What is at a place."""
    for part in path:
        tree = tree[part]
    return tree


def changed(rng: Random, tree: Any, times: int = 1) -> Any:
    """A copy of nested values that differs in a few places."""
    tree = copy.deepcopy(tree)
    for _ in range(times):
        known = list(paths(tree))
        path = rng.choice(known)
        if not path:
            tree = value(rng) if rng.random() < 0.05 else tree
            continue
        _change(rng, get(tree, path[:-1]), path[-1], get(tree, rng.choice(known)))
    return tree


def _change(rng: Random, owner: Any, key: Any, other: Any) -> None:
    """Change one entry of a table or a list; `other` is from elsewhere in the tree."""
    old = owner[key]
    action = rng.randrange(9)
    if action in (0, 1):
        owner[key] = value(rng)
    elif action == 2:
        owner.pop(key)
    elif action == 3 and isinstance(owner, dict):
        owner[text(rng)] = owner.pop(key)
    elif action == 4:
        owner[key] = copy.deepcopy(other)
    elif action == 5:
        owner[key] = [old, old] if rng.random() < 0.5 else {"x": old}
    elif action == 6:
        owner[key] = _of_another_type(old)
    elif action == 7 and isinstance(old, str):
        at = rng.randint(0, len(old))
        owner[key] = old[:at] + text(rng) + old[at:]
    elif isinstance(owner, dict):
        owner[text(rng)] = value(rng)
    else:
        owner[:] = owner * rng.choice([0, 2, 20])


def _of_another_type(old: Any) -> Any:
    if isinstance(old, bool):
        return str(old)
    if isinstance(old, int | float):
        return str(old)
    if isinstance(old, str):
        return len(old)
    return list(old) if isinstance(old, dict) else dict(enumerate(map(str, old))) if isinstance(old, list) else 0


def reworded(rng: Random, tree: Any, names: Collection[str]) -> Any:
    """A copy with other words in one of the free texts, which are those under some names."""
    tree = copy.deepcopy(tree)
    free = [path for path in paths(tree) if set(names) & set(path) and isinstance(get(tree, path), str)]
    if free:
        path = rng.choice(free)
        owner = get(tree, path[:-1])
        owner[path[-1]] = rng.choice([text(rng), owner[path[-1]] + text(rng)])
    return tree


def json_text(rng: Random, tree: Any) -> bytes:
    """The values as JSON; now and then as only some writers, or a damaged disk, would leave them."""
    plain = json.dumps(tree, ensure_ascii=rng.random() < 0.5)
    action = rng.randrange(12)
    if action == 0 and plain.startswith("{") and len(plain) > 2:
        plain = f'{{"id": {json.dumps(value(rng))}, "kind": 5, {plain[1:]}'  # names twice
    elif action == 1:
        return rng.choice([b"\xef\xbb\xbf" + plain.encode(errors="replace"), plain.encode("utf-16", errors="replace")])
    elif action == 2:
        plain = rng.choice([plain + plain, plain + " x", f"// x\n{plain}", plain.replace(",", ",,", 1), f"[{plain}]"])
    elif action == 3:
        depth = rng.choice([100, 1000, 100_000])
        plain = plain.replace(":", ":" + rng.choice(["[" * depth, '{"a":' * depth, "[" * depth + "]" * depth]), 1)
    elif action == 4:
        plain = plain.replace(rng.choice("0123456789"), rng.choice(["1e999", "-", "9" * 5000, "NaN", "\\ud800"]), 1)
    return plain.encode(errors="surrogatepass")


def toml_text(tree: Any) -> str:
    """The values as TOML, a line for each name at the top; what TOML lacks is left out."""
    return "".join(f"{json.dumps(name)} = {_toml(one)}\n" for name, one in tree.items() if one is not None)


def _toml(one: Any) -> str:
    if isinstance(one, dict):
        inner = (f"{json.dumps(name)} = {_toml(item)}" for name, item in one.items() if item is not None)
        return f"{{ {', '.join(inner)} }}"
    if isinstance(one, list):
        return f"[{', '.join(_toml(item) for item in one if item is not None)}]"
    if isinstance(one, float):
        return {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}.get(json.dumps(one), repr(one))
    return json.dumps(one)
