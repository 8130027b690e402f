"""One property over every stage, recipe, variant, suite and scale."""

import inspect
import typing
from typing import get_args

import pytest

from caebench.contracts.planned import round_trips
from caebench.planning.graph import Plans, make_plan
from caebench.planning.scale import SCALES
from caebench.specs import optim, targets
from caebench.specs.base import Config
from caebench.specs.inputs import dataset
from caebench.specs.job import EncoderSpec, Spec, make_job
from caebench.specs.methods import base
from caebench.specs.registry import EVALUATIONS, KINDS, SOURCES
from caebench.specs.variants import VARIANTS
from caebench.stages import STAGES
from caebench.suites import loading as suites
from caebench.suites.published import names, paper, read_set
from tests.helpers import NEEDED

RECIPES = {**SOURCES, **EVALUATIONS}
METHODS = base.METHODS
OF_NO_ID = {f"caebench.specs.{name}" for name in ("assets", "calibration", "scheduler", "site", "slurm")}


def subclasses(cls: type[Config]) -> set[type[Config]]:
    return {found for child in cls.__subclasses__() for found in (child, *subclasses(child))}


CLASSES = [
    cls
    for cls in sorted(subclasses(Config), key=lambda cls: cls.__name__)
    if cls.__module__.startswith("caebench.specs.") and cls.__module__ not in OF_NO_ID
]
PAPER_VARIANTS = [name for name in VARIANTS if name.startswith("vit_")]


def members(union) -> list[type[Config]]:
    """The config classes of a union, through nested unions and annotations."""
    if isinstance(union, type):
        return [union]
    return [cls for part in get_args(union) if not hasattr(part, "discriminator") for cls in members(part)]


def kind(cls: type[Config]) -> str:
    (tag,) = get_args(cls.model_fields["kind"].annotation)
    return tag


def arguments():
    """Every recipe with every variant and every other choice that its signature claims."""
    for name, recipe in RECIPES.items():
        for variant in PAPER_VARIANTS:
            yield name, {"variant": variant}
        hints = typing.get_type_hints(recipe)
        for parameter in inspect.signature(recipe).parameters:
            if parameter != "variant" and typing.get_origin(hints[parameter]) is typing.Literal:
                for choice in get_args(hints[parameter]):
                    yield name, {parameter: choice}


def test_every_kind_of_job_has_a_function():
    assert set(STAGES) == set(KINDS.values())


def test_every_kind_and_method_is_registered_under_its_tag():
    assert {tag: kind(cls) for tag, cls in KINDS.items()} == {tag: tag for tag in KINDS}
    assert {tag: kind(cls) for tag, cls in METHODS.items()} == {tag: tag for tag in METHODS}
    own = {cls for cls in CLASSES if issubclass(cls, Spec) and "kind" in cls.model_fields}
    assert own == set(KINDS.values())


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_tag_is_always_required(cls):
    """A tag with a default would vanish from the identity, and two methods would share an id."""
    tagged = cls.model_fields.get("kind")
    if tagged is not None and len(get_args(tagged.annotation)) == 1:
        assert tagged.is_required()


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_field_has_a_canonical_default(cls):
    """An id can be computed from any config: no field's default is of a type that the hash refuses."""
    from caebench.specs.identity import canonical

    for field in cls.model_fields.values():
        if not field.is_required():
            canonical(field.get_default(call_default_factory=True))


@pytest.mark.parametrize("union", [dataset.Data, optim.Optimizer, targets.Target], ids=str)
def test_the_tags_of_a_union_differ(union):
    tags = [kind(cls) for cls in members(union)]
    assert len(set(tags)) == len(tags) > 1


@pytest.mark.parametrize(("name", "chosen"), list(arguments()), ids=str)
@pytest.mark.parametrize("scale", SCALES)
def test_every_recipe_round_trips_through_its_job_file(name, chosen, scale, tmp_path):
    """What the worker reads is the config that was planned, at every scale."""
    config = SCALES[scale].apply(RECIPES[name](**{**NEEDED.get(name, {}), **chosen}))
    inputs = {"encoder": make_job(SCALES[scale].apply(SOURCES["random"]()))} if name in EVALUATIONS else {}
    job = make_job(config, **inputs)
    round_trips(job, tmp_path)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_recipe_says_its_source_and_takes_a_variant(recipe):
    assert "variant" in inspect.signature(recipe).parameters
    assert any(word in recipe.__doc__ for word in ("Source:", "Table 4", "Not in the paper"))


@pytest.mark.parametrize("suite", suites.names())
@pytest.mark.parametrize("scale", SCALES)
def test_every_suite_plans_at_every_scale(suite, scale):
    plan = make_plan(suites.load(suite), SCALES[scale], [0, 1])
    assert len(plan.cells) == len(plan.suite.rows) * len(plan.suite.columns)
    order = {job.id: number for number, job in enumerate(plan.jobs)}
    assert all(order[parent.id] < order[job.id] for job in plan.jobs for parent in job.inputs.values())


@pytest.mark.parametrize("suite", suites.names())
def test_every_row_id_is_published_and_every_metric_exists(suite):
    table = suites.load(suite)
    metrics = {metric for name in names() for _, metric in read_set(name).numbers}
    rows = {row for row, _ in paper()}
    assert [row.id for row in table.rows if row.id is not None and row.id not in rows] == []
    for column in table.columns.values():
        config = EVALUATIONS[column.eval]()
        assert column.metric in config.METRICS
        assert column.published is None or column.published in metrics


@pytest.mark.parametrize("suite", suites.names())
@pytest.mark.parametrize("scale", [name for name in SCALES if name != "paper"])
def test_a_scale_merges_no_two_jobs(suite, scale):
    """Shrunk, never clamped: as many jobs as at paper scale, each stand-in in place of one."""
    num_jobs = {name: len(make_plan(suites.load(suite), SCALES[name], [0, 1]).jobs) for name in ("paper", scale)}
    assert num_jobs[scale] == num_jobs["paper"]


def test_every_evaluation_names_the_numbers_of_its_result():
    assert [name for name, recipe in EVALUATIONS.items() if not recipe().METRICS] == []


@pytest.mark.parametrize("suite", suites.names())
def test_every_claim_names_cells_that_exist_in_other_suites_too(suite):
    suites.check_elsewhere(suites.load(suite))


def test_all_suites_together_share_their_jobs_and_every_scale_has_as_many():
    """Pinned: a suite that comes or goes, or two names that are no longer one job, is to be seen here.

    Tables 1-4 and 6 train the compared methods, too.
    """
    found = {}
    for name, scale in SCALES.items():
        plans = Plans("all", tuple(make_plan(table, scale, [0]) for table in suites.load_all("all")))
        found[name] = (plans.jobs_asked, len(plans.jobs))
    assert found == dict.fromkeys(SCALES, (2124, 475))


def test_four_names_of_one_pretraining_are_one_job():
    """The 50 % row of Table 7, the last of Table 5, the DALL-E row of Table 8 and CAE* 300 of Table 1."""
    places = {
        "ablation-mask-ratio": "T7-50%",
        "ablation-components": "T5-dec_yes-align_yes",
        "ablation-targets": "T8-DALL-E",
        "pretraining-evaluation": "T1-B-CAE*-300",
        "segmentation-ade20k": "T2-B-CAE*-300",
        "detection-coco": "T3-B-CAE*-300",
        "ablation-depth": "TX-layers-4",
        "ablation-loss-weight": "TX-lambda-2",
    }
    encoders = {
        cell.jobs[0].inputs["encoder"].id
        for suite, row in places.items()
        for cell in make_plan(suites.load(suite), SCALES["paper"], [0]).cells
        if cell.row.id == row and "encoder" in cell.jobs[0].inputs
    }
    assert len(encoders) == 1


def test_the_claims_of_the_paper_are_all_there():
    assert sum(len(table.claims) for table in suites.load_all("all") if table.name != "quickstart") >= 18


@pytest.mark.parametrize("suite", suites.names())
def test_a_label_enters_no_id(suite, tmp_path):
    table = suites.load(suite)
    text = table.path.read_text(encoding="utf8")
    changed = tmp_path / f"{suite}.toml"
    changed.write_text(text.replace('label = "', 'label = "A new name for ').split("[[claims]]")[0])
    before, after = (make_plan(t, SCALES["paper"], [0]) for t in (table, suites.load(str(changed))))
    assert [job.id for job in before.jobs] == [job.id for job in after.jobs]


def test_a_result_bearing_field_changes_the_row_that_sets_it_and_no_other(tmp_path):
    text = suites.load("ablation-mask-ratio").path.read_text(encoding="utf8")
    changed = tmp_path / "ablation-mask-ratio.toml"
    changed.write_text(text.replace("ratio = 0.6", "ratio = 0.65"))
    before, after = (
        make_plan(table, SCALES["paper"], [0]).cells
        for table in (suites.load("ablation-mask-ratio"), suites.load(str(changed)))
    )
    moved = {old.row.id for old, new in zip(before, after, strict=True) if old.jobs != new.jobs}
    assert moved == {"T7-60%"}


def test_a_method_or_an_encoder_that_leaves_out_what_it_must_say_cannot_be_made():
    """Found when it is written, not in the middle of a plan."""
    with pytest.raises(TypeError, match="step_multiply_adds"):
        type("Silent", (base.Method,), {"__module__": "elsewhere"})()
    with pytest.raises(TypeError, match="size"):
        type("Sizeless", (EncoderSpec,), {"__module__": "elsewhere"})()
