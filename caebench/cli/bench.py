"""`caebench bench`: speed on this machine, each measurement compared with a plain one in the same process."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from caebench.cli import completion
from caebench.cli.options import JsonOption, SiteOption, expanded, print_json, say

if TYPE_CHECKING:
    from caebench.bench.settings import Settings

VariantOption = Annotated[str, typer.Option("--variant", help="The encoder's size.")]
BatchOption = Annotated[int | None, typer.Option("--batch", min=1, help="Images. Default: 256 on CUDA, 16 on a CPU.")]
DeviceOption = Annotated[Literal["auto", "cpu", "cuda"], typer.Option("--device")]
PrecisionOption = Annotated[
    Literal["fp32", "bf16", "fp16"] | None,
    typer.Option("--precision", help="Ours. Default: bf16 on CUDA, fp32 on a CPU."),
]
TokenizerOption = Annotated[
    Literal["none", "dalle", "dvae"], typer.Option("--tokenizer", help="none: the batch has the codes.")
]
CompileOption = Annotated[bool, typer.Option("--compile", help="Compile blocks, as `compile = true` in a site file.")]
WarmUpOption = Annotated[int, typer.Option("--warm-up", min=1, help="Rounds before the measurement.")]
RepeatsOption = Annotated[int, typer.Option("--repeats", min=1, help="Measured rounds; the median is shown.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", callback=expanded, help="A folder for the JSON, such as results/bench.")
]
Measure = Callable[["Settings", Any], dict[str, Any]]  # of settings on a torch device
Rows = Callable[[dict[str, Any]], list[list[str]]]


def pretrain(
    variant: VariantOption = "vit_b",
    batch: BatchOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = None,
    tokenizer: TokenizerOption = "none",
    compile: CompileOption = False,
    warm_up: WarmUpOption = 2,
    repeats: RepeatsOption = 10,
    out: OutOption = None,
    json: JsonOption = False,
) -> None:
    """CAE's pretraining step compared with a plain reference: images/s, stages, memory, share of peak, losses."""
    from caebench.bench.pretrain import bench_pretrain
    from caebench.cli.show_bench import pretrain_rows

    found = _measure(
        "pretrain", bench_pretrain, device, variant, batch, precision, tokenizer, compile, warm_up, repeats
    )
    _show(found, pretrain_rows, out, json)


def probe(
    variant: VariantOption = "vit_b",
    batch: BatchOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = None,
    compile: CompileOption = False,
    warm_up: WarmUpOption = 2,
    repeats: RepeatsOption = 10,
    out: OutOption = None,
    json: JsonOption = False,
) -> None:
    """The probes' frozen encoder compared with a plain one, and a step of each head."""
    from caebench.bench.frozen import bench_probe
    from caebench.cli.show_bench import probe_rows

    found = _measure("probe", bench_probe, device, variant, batch, precision, "none", compile, warm_up, repeats)
    _show(found, probe_rows, out, json)


def shared_pass(
    variant: VariantOption = "vit_b",
    batch: BatchOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = None,
    compile: CompileOption = False,
    warm_up: WarmUpOption = 1,
    repeats: RepeatsOption = 10,
    out: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Probes in one shared-encoder pass compared with the linear probe alone: complete jobs, rerun in each round."""
    from caebench.bench.shared_pass import bench_pass
    from caebench.cli.show_bench import pass_rows

    found = _measure("pass", bench_pass, device, variant, batch, precision, "none", compile, warm_up, repeats)
    _show(found, pass_rows, out, json)


def data(
    batch: Annotated[int, typer.Option("--batch", min=1, help="Files.")] = 32,
    warm_up: WarmUpOption = 1,
    repeats: RepeatsOption = 10,
    out: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Samples per second of one loading process, compared with decoding the same JPEG files alone."""
    from caebench.bench.device import one_thread
    from caebench.bench.loading import bench_data
    from caebench.cli.show_bench import data_rows

    measure: Measure = lambda settings, _: bench_data(settings)  # noqa: E731
    one_thread()
    found = _measure("data", measure, "cpu", "vit_b", batch, "fp32", "none", False, warm_up, repeats)
    _show(found, data_rows, out, json)


def plan(
    scale: Annotated[str, typer.Option("--scale", metavar="|".join(completion.SCALES), help="The scale.")] = "paper",
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="At least so many jobs, using more seeds.")] = 10_000,
    repeats: RepeatsOption = 5,
    out: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Seconds of planning every suite, from the files to the jobs' ids."""
    from caebench.bench.device import cpu_name
    from caebench.bench.documents import document
    from caebench.bench.planning import bench_plan
    from caebench.cli.show_bench import plan_rows

    settings = {"scale": scale, "at_least": jobs, "repeats": repeats}
    found = document("plan", cpu_name(1), settings, bench_plan(scale, jobs, repeats))
    _show(found, plan_rows, out, json)


def ablate(
    variant: VariantOption = "vit_b",
    batch: BatchOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = None,
    tokenizer: TokenizerOption = "none",
    compile: CompileOption = False,
    warm_up: WarmUpOption = 2,
    repeats: RepeatsOption = 10,
    out: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Each optimisation of the pretraining step switched off alone, and optimisations that were tried but not kept."""
    from caebench.bench.ablate import bench_ablate
    from caebench.cli.show_bench import ablate_rows

    found = _measure("ablate", bench_ablate, device, variant, batch, precision, tokenizer, compile, warm_up, repeats)
    _show(found, ablate_rows, out, json)


def calibrate(
    site: SiteOption = "local",
    variant: VariantOption = "vit_b",
    batch: BatchOption = None,
    precision: PrecisionOption = None,
    warm_up: WarmUpOption = 2,
    repeats: RepeatsOption = 10,
    json: JsonOption = False,
) -> None:
    """Measure this device, so that a site's plans count its hours. Run this on a compute node."""
    from caebench.bench.calibrating import calibrate as measure
    from caebench.files.atomic import write_text
    from caebench.specs.calibration import calibration_path
    from caebench.specs.cost import describe_hours
    from caebench.specs.site import SITES, load_site

    where = load_site(site)
    chosen = _choose(where.device, variant, batch, precision, "none", where.compile, warm_up, repeats)
    found = measure(*chosen)
    path = calibration_path(SITES, site)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, found.model_dump_json(indent=1) + "\n")
    if json:
        print_json(found.model_dump())
        return
    say(f"{path}: {found.training / 1e12:.3g} TFLOP/s in pretraining, {found.frozen / 1e12:.3g} frozen.")
    say(f"`caebench plan all --site {site}` now counts {describe_hours(found)}.")


def _choose(
    device: str,
    variant: str,
    batch: int | None,
    precision: Literal["fp32", "bf16", "fp16"] | None,
    tokenizer: Literal["none", "dalle", "dvae"],
    compile: bool,
    warm_up: int,
    repeats: int,
) -> "tuple[Settings, Any]":
    from caebench.bench.device import find_device
    from caebench.bench.settings import paper_settings

    place = find_device(device)
    on_cpu = place.type == "cpu"
    precision = precision or ("fp32" if on_cpu else "bf16")
    settings = paper_settings(variant, batch or (16 if on_cpu else 256), precision, tokenizer)
    return settings._replace(compiled=compile, warm_up=warm_up, repeats=repeats), place


def _measure(what: str, measure: Measure, *options: Any) -> dict[str, Any]:
    from caebench.bench.device import device_name
    from caebench.bench.documents import document

    settings, place = _choose(*options)
    return document(what, device_name(place), settings.facts(), measure(settings, place))


def _show(found: dict[str, Any], rows: Rows, out: Path | None, json: bool) -> None:
    """Print a table or the document, and save the document if a folder is named."""
    from caebench.bench.documents import save
    from caebench.cli.show import print_table

    if json:
        print_json(found)
    else:
        settings = ", ".join(f"{name} {value}" for name, value in found["settings"].items())
        header, *lines = rows(found["results"])
        print_table(f"bench {found['bench']} on {found['device']}", header, lines, [settings])
    if out is not None:
        path = save(found, out)
        if not json:
            say(str(path))
