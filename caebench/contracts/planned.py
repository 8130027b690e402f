"""What every recipe promises the half that plans: it builds at every scale, and its job file holds it. No torch."""

import json
import math
import subprocess  # nosec B404 # our own interpreter, a list of arguments
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from caebench.contracts.check import Broken, Check
from caebench.planning.scale import SCALES
from caebench.specs.identity import bears_result, full
from caebench.specs.job import Inputs, Job, Spec, make_job
from caebench.specs.plugins import used
from caebench.specs.registry import SOURCES, read_config
from caebench.specs.variants import VARIANTS
from caebench.store.store import Store

Recipe = Callable[..., Any]
PAPER_VARIANTS = [name for name in VARIANTS if name.startswith("vit_")]
HEAVY = ("torch", "torchvision", "timm")
PLANS = "import json, sys; from caebench.specs.plugins import use; use(*json.loads(sys.argv[1])); "
PLANS += f"print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"


def checks(recipe: Recipe, needs_encoder: bool, needed: Mapping[str, Any]) -> list[Check]:
    """The checks of a recipe; `needed`: the arguments that it cannot do without."""

    def each(check: Callable[[Spec, Inputs], None]) -> Callable[[Path], None]:
        def all_of_them(folder: Path) -> None:
            for config, inputs in planned(recipe, needs_encoder, needed):
                check(config, inputs)

        return all_of_them

    return [
        Check("planning imports no torch", lambda _: imports_no_torch()),
        Check("the recipe builds at every scale, for every variant", each(lambda config, inputs: None)),
        Check("tags are required fields", each(lambda config, inputs: tags_are_required(config))),
        Check("a job file holds the config and its id", _round_trips(recipe, needs_encoder, needed)),
        Check("no scale merges two variants", lambda _: merges_nothing(recipe, needs_encoder, needed)),
        Check("what it costs can be told", each(costs)),
    ]


def imports_no_torch() -> None:
    """The plug-ins that this process uses can be read without torch.

    Raises:
        Broken: one imports it.
    """
    modules, folders = used()
    command = [sys.executable, "-c", PLANS, json.dumps([modules, list(map(str, folders))])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # nosec B603 # our own interpreter and words, without a shell
    if done.returncode:
        raise Broken(f"a fresh Python cannot read it: {done.stderr.strip().splitlines()[-1]}", "Correct its imports")
    if heavy := json.loads(done.stdout.splitlines()[-1]):
        do = "Move what trains to a module of its own, and name that as a text: METHODS = 'package.training:METHODS'"
        raise Broken(f"reading what is planned imports {', '.join(heavy)}", do)


def planned(recipe: Recipe, needs_encoder: bool, needed: Mapping[str, Any]) -> list[tuple[Spec, Inputs]]:
    """A recipe's configs with their inputs, at every scale, for every variant of the paper.

    Raises:
        Broken: one cannot be made.
    """
    found: list[tuple[Spec, Inputs]] = []
    for name, scale in SCALES.items():
        for variant in PAPER_VARIANTS:
            try:
                config = scale.apply(recipe(**{**needed, "variant": variant}))
                encoder = (
                    {"encoder": make_job(scale.apply(SOURCES["random"](variant=variant)))} if needs_encoder else {}
                )
                make_job(config, **encoder)
            except Exception as error:  # whatever a plug-in's code may raise
                what = f"at scale {name}, with variant {variant}: {type(error).__name__}: {error}".rstrip(".")
                raise Broken(what, "Correct the recipe, or the method `scaled` and the RULES of its class") from error
            found.append((config, encoder))
    return found


def tags_are_required(config: Any) -> None:
    """The field `kind` has no default: it would vanish from the identity, and two kinds would share an id.

    Raises:
        Broken: it has one.
    """
    for part in (config, getattr(config, "method", None)):
        tag = type(part).model_fields.get("kind") if part is not None else None
        if tag is not None and not tag.is_required():
            raise Broken(f"{type(part).__name__}.kind has a default", "Write kind: Literal['name'] without one")


def _round_trips(recipe: Recipe, needs_encoder: bool, needed: Mapping[str, Any]) -> Callable[[Path], None]:
    def check(folder: Path) -> None:
        for number, (config, inputs) in enumerate(planned(recipe, needs_encoder, needed)):
            round_trips(make_job(config, **inputs), folder / str(number))

    return check


def round_trips(job: Job, store: Path) -> None:
    """What a worker reads is the config that was planned, under the same id.

    Raises:
        Broken: it is not.
    """
    folder = Store(store).prepare(job)
    found = read_config(json.loads((folder / "job.json").read_text(encoding="utf8"))["config"])
    light = [name for name, about in type(job.config).model_fields.items() if not bears_result(about)]
    given = {role: one for role, one in job.inputs.items() if role == "encoder"}
    do = "Use plain fields: numbers, texts, tuples, and other configs"
    if found != job.config.replace(**{name: getattr(found, name) for name in light}) or full(found) != full(job.config):
        raise Broken(f"{type(job.config).__name__} is another config when its job file is read", do)
    if make_job(found, **given).id != job.id:
        raise Broken(f"{type(job.config).__name__} has another id when its job file is read", do)
    if not job.config.versions():
        raise Broken(f"{type(job.config).__name__} has no version", "Return [self.VERSION, ...] from `versions`")


def merges_nothing(recipe: Recipe, needs_encoder: bool, needed: Mapping[str, Any]) -> None:
    """Variants that differ at paper scale differ at every scale.

    Raises:
        Broken: two do not.
    """
    jobs = [make_job(config, **inputs).id for config, inputs in planned(recipe, needs_encoder, needed)]
    num = len(PAPER_VARIANTS)
    by_scale = {name: set(jobs[first * num : (first + 1) * num]) for first, name in enumerate(SCALES)}
    for name, ids in by_scale.items():
        if len(ids) < len(by_scale["paper"]):
            raise Broken(f"at scale {name} two variants are one job", "Shrink by a factor, and never clamp")


def costs(config: Spec, inputs: Inputs) -> None:
    """A plan can tell what it costs.

    Raises:
        Broken: it cannot.
    """
    cost = config.multiply_adds(inputs)
    if not (math.isfinite(cost) and cost >= 0) or config.disk_bytes(inputs) < 0:
        raise Broken(f"{type(config).__name__} costs {cost} multiply-adds", "Correct `multiply_adds` and `disk_bytes`")
