"""What the fields of a config mean: the text below each field in its class. Manual pages and schemas read it from here.

pydantic's `use_attribute_docstrings` reads the same texts, but when a class is made: every command would wait for that.
"""

import ast
import inspect
import textwrap
from functools import cache
from itertools import pairwise

from caebench.specs.base import Config


@cache
def described(cls: type[Config]) -> dict[str, str]:
    """The description of each field of a config, its own or inherited; fields without one are left out."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, Config):
            found.update(_written_in(base))
    return found


@cache
def _written_in(cls: type[Config]) -> dict[str, str]:
    """The strings that follow fields in a class's source; nothing where there is no source to read."""
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, TypeError):
        return {}
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
