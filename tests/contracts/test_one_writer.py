"""Whatever caebench leaves on disk goes through `files.atomic`; what does not is listed here, with its reason."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "caebench"
RENAMES = {"os.replace", "os.rename", "path.rename", "partial.replace", "partial.rename"}
MODES = set("wxa+")
ALLOWED = {
    "files/atomic.py": "the writer",
    "files/lines.py": "files that grow by whole lines",
    "training/seal.py": "the writer's path, before it gets its name",
    "store/heartbeat.py": "zeros, whose content nobody reads",
    "execution/assets.py": "the download fills the writer's path",
    "execution/snapshot.py": "inside the writer's folder",
    "execution/plugin_code.py": "inside the writer's folder",
    "templates/writing.py": "inside the writer's folder",
    "training/checkpoint.py": "the writer's path, opened for torch",
    "data/codes.py": "the writer's path, opened for the rows",
    "datasets/own/parquet.py": "inside the writer's folder",
    "bench/memory.py": "a file of /proc",
    "bench/shared_pass.py": "in a temporary folder",
}


def writes(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        texts = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
        if name == "open" and any(isinstance(text, str) and set(text) & MODES and len(text) < 4 for text in texts):
            return True
        if name in {"write_text", "write_bytes"} and isinstance(node.func, ast.Attribute):
            return True
        if name in {"replace", "rename"} and isinstance(node.func, ast.Attribute) and ast.unparse(node.func) in RENAMES:
            return True
    return False


def test_every_file_is_written_by_the_one_writer():
    found = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if writes(path)}
    assert found == set(ALLOWED), "writers by hand, and entries of the list that no longer write"
