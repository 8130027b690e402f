"""`caebench new` writes what passes `caebench check` at once; `check` says of what does not why, and what to do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import Bench

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def bench(tmp_path) -> Bench:
    (tmp_path / "home").mkdir()
    return Bench(tmp_path / "store", tmp_path / "home")


def said(bench: Bench, *arguments: str, status: int = 0) -> str:
    command = bench.run(*arguments)
    assert command.wait() == status, command.output
    return command.output


def new(bench: Bench, kind: str, name: str) -> Path:
    """A package, and a site file with the lines that the command prints."""
    printed = said(bench, "new", kind, name).splitlines()
    lines = [line.strip() for line in printed if line.startswith("     plugins")]
    assert len(lines) == 2 and printed[-2:] == [f"2. caebench check {name}", f"3. caebench run {name}/suite.toml"]
    bench.write_site("local", "\n".join(lines) + "\n")
    return bench.home / name


@pytest.mark.parametrize("kind", ["method", "evaluation"])
def test_what_new_writes_passes_its_check(kind, bench):
    folder = new(bench, kind, "my_own")
    output = said(bench, "check", "my_own")
    assert output.splitlines()[0] == f"{kind} my_own" and output.splitlines()[-1].endswith("checks, all ok")
    assert said(bench, "suites", "check", f"{folder}/suite.toml").startswith(f"{folder}/suite.toml: no mistake.")


def test_new_adds_to_the_plug_ins_that_a_site_names_already(bench):
    new(bench, "method", "my_own")
    new(bench, "evaluation", "my_probe")
    said(bench, "suites", "check", "my_own/suite.toml", "my_probe/suite.toml")
    site = (bench.home / ".config/caebench/sites/local.toml").read_text()
    assert site.splitlines()[0] == 'plugins = ["my_own", "my_probe"]'


def test_a_new_suite_is_one_without_mistakes(bench):
    lines = said(bench, "new", "suite", "mine").splitlines()
    assert lines == ["mine.toml: written. Next:", "  caebench suites check mine.toml", "  caebench run mine.toml"]
    assert said(bench, "suites", "check", "mine.toml").startswith("mine.toml: no mistake.")
    assert said(bench, "check", "mine").splitlines()[0] == "suite mine"


@pytest.mark.slow  # it starts Python, and pytest in it
def test_the_test_file_of_a_new_package_passes_and_ruff_finds_nothing(bench):
    folder = new(bench, "method", "my_own")
    for words in (
        ["pytest", "-q", "-p", "no:cacheprovider", str(folder)],
        ["ruff", "check", "--isolated", str(folder)],
    ):
        done = subprocess.run([sys.executable, "-m", *words], cwd=bench.home, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


NO_NAME = (
    "cannot be a Python package and a function. Use small letters, digits and underscores, and begin with a letter: "
    "my_method."
)
NAMES = {  # of a new method
    "knn": "'knn' is an evaluation already. Choose another name.",
    "mae": "'mae' is a method already. Choose another name.",
    "food101": "'food101' is an evaluation already. Choose another name.",
    "coco": "'coco' is an evaluation already. Choose another name.",
    "imagenet1k": "'imagenet1k' is a data set already. Choose another name.",
    "dvae": "'dvae' is a kind of job already. Choose another name.",
    "quickstart": "'quickstart' is a suite already. Choose another name.",
    "json": "'json' is a Python module already, which the package would hide. Choose another name.",
    "caebench": "'caebench' is a Python module already, which the package would hide. Choose another name.",
    "encode": "'encode' is a name that the package uses for something else. Choose another name.",
    "adam_w": "'adam_w' is a name that the package uses for something else. Choose another name.",
    "my-method": f"'my-method' {NO_NAME}",
    "class": f"'class' {NO_NAME}",
    "../up": f"'../up' {NO_NAME}",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_cannot_be_taken_is_one_line(name, bench):
    assert said(bench, "new", "method", name, status=2) == f"error: {NAMES[name]}\n"
    assert [path for path in bench.home.iterdir() if not path.name.startswith("log-")] == []


def test_nothing_is_overwritten(bench):
    new(bench, "method", "my_own")
    (bench.home / "mine.toml").write_text("")
    again = "already exists, and nothing is overwritten. Choose another name, or --out.\n"
    bench.write_site("local", "")
    assert said(bench, "new", "method", "my_own", status=2) == f"error: my_own: {again}"
    assert said(bench, "new", "suite", "mine", status=2) == f"error: mine.toml: {again}"
    assert said(bench, "new", "suite", "ablation-depth", status=2).startswith("error: 'ablation-depth' is a suite alre")
    absent = said(bench, "new", "suite", "other", "--out", "nowhere", status=2)
    assert absent == "error: --out nowhere: no such folder. Make it, or name another.\n"


def test_an_unknown_name_is_one_line(bench):
    line = said(bench, "check", "rotatoin", status=2)
    assert line.startswith("error: 'rotatoin': no method, evaluation, data set or suite. ") and line.count("\n") == 1
    assert "Did you mean 'random'?" in said(bench, "check", "randm", status=2)
    assert "one of your own is known once" in line.lower()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param("rotation", "method", marks=pytest.mark.slow),
        ("nearest_centroid", "evaluation"),
        ("stripes", "data set"),
    ],
)
def test_the_examples_pass_their_checks(name, kind, bench):
    bench.write_site("local", f'plugins = ["caebench_toy"]\nplugins_path = ["{EXAMPLES}"]\n')
    output = said(bench, "check", name)
    assert output.splitlines()[0] == f"{kind} {name}" and output.splitlines()[-1].endswith("checks, all ok"), output


def failed(bench: Bench, name: str) -> dict[str, str]:
    """The checks that fail, and what each says."""
    found = json.loads(said(bench, "check", name, "--json", status=1))["checks"]
    return {one["check"]: one["what"] for one in found if not one["ok"]}


MISTAKES = {  # in the method: old text, new text, which check fails, what it says
    "an unused parameter": (
        "self.head = nn",
        "self.unused = nn.Linear(2, 2)\n        self.head = nn",
        {"the loss is finite, and every trainable parameter has a gradient": "no finite gradient other than zero"},
    ),
    "a state outside of buffers": (
        "images, masked = ",
        "self.count = getattr(self, 'count', 0.0) + 1.0\n        images, masked = ",
        {},
    ),
    "a sum in place of a mean": (
        "F.mse_loss(predicted, target)",
        "F.mse_loss(predicted, target, reduction='sum') / 1e3",
        {"two half batches equal one full batch": "is "},
    ),
    "a loss that is not finite": (
        "F.mse_loss(predicted, target)",
        "F.mse_loss(predicted, target) / 0.0",
        {"the loss is finite, and every trainable parameter has a gradient": "the loss is inf"},
    ),
    "numbers of the global generator": (
        "return MaskedSample(config",
        "return lambda *given: {k: v + torch.rand(()) if k == 'image' else v for k, v in sample(*given).items()}\n"
        "        return MaskedSample(config",
        {"a sample depends on seed, epoch and index alone": "'image' of a sample differs when it is made again"},
    ),
}


QUICK = "an unused parameter"
CASES = [pytest.param(case, marks=() if case == QUICK else pytest.mark.slow) for case in MISTAKES]


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_of_a_method_is_found_and_named(case, bench):
    old, new_text, wanted = MISTAKES[case]
    folder = new(bench, "method", "my_own")
    path = folder / "my_own" / "training.py"
    text = path.read_text()
    assert old in text
    text = text.replace(old, new_text)
    if case == "a state outside of buffers":
        text = text.replace("F.mse_loss(predicted, target)", "F.mse_loss(predicted, target) * (2.0 + self.count % 7.0)")
        wanted = {"killed and resumed equals uninterrupted": "after a kill and a resume"}
    if case == "numbers of the global generator":
        text = text.replace(
            "return lambda",
            "sample = MaskedSample(config, self.config.masking, self.encoder.grid, 0)\n        return lambda",
        )
    path.write_text(text)
    found = failed(bench, "my_own")
    for check, what in wanted.items():
        assert what in found[check], found


@pytest.mark.slow  # three checks
def test_a_mistake_of_an_evaluation_is_found_and_named(bench):
    folder = new(bench, "evaluation", "my_own")
    specs = folder / "my_own" / "specs.py"
    specs.write_text(specs.read_text().replace('("top1",)', '("top1", "top5")'))
    assert failed(bench, "my_own")["its numbers are those that it declares, and finite"] == (
        "the result has no 'top5'; it has top1"
    )
    stage = folder / "my_own" / "stage.py"
    stage.write_text(
        stage.read_text().replace('found = {"top1": ', 'found = {"top5": 1.0, "top1": float(torch.rand(())) + ')
    )
    assert "and then" in failed(bench, "my_own")["run again, it gives the same numbers"]
    stage.write_text("import torch\n1 / 0\n")
    line = said(bench, "check", "my_own", status=2)
    assert line.startswith("error: plug-in 'my_own' (") and f"ZeroDivisionError: division by zero, at {stage}:2" in line


@pytest.mark.slow  # Python starts anew, and another in it
def test_a_package_that_imports_torch_to_plan_is_found(bench, tmp_path):
    folder = new(bench, "method", "my_own")
    init = folder / "my_own" / "__init__.py"
    init.write_text(init.read_text() + "from my_own import training as training\n")
    found = failed(bench, "my_own")
    assert found["planning imports no torch"] == "reading what is planned imports torch, torchvision, timm"
