"""Every evaluation shows an encoder pixels of the mean and the deviation that its file names."""

import pytest
import torch

from caebench.checkpoints.encoder_file import FileEncoder, save_encoder
from caebench.files.layout import ENCODER
from caebench.models.vit import Encoder
from caebench.specs.inputs.random_encoder import RandomEncoder
from caebench.specs.job import make_job
from caebench.specs.pixel_stats import IMAGENET, parse_stats
from caebench.specs.registry import EVALUATIONS
from caebench.specs.site import Site
from caebench.specs.variants import VARIANTS
from caebench.stages import run_stage, run_stages
from caebench.tasks.verification import Pictures, verify
from caebench.training.distributed import join_group
from caebench.training.run import Run

ODD = parse_stats("0.31,0.42,0.57/0.21,0.33,0.47")  # nobody's, and no two channels alike
SITE = Site(device="cpu")
pytestmark = pytest.mark.filterwarnings("ignore")  # whole detectors run here, and theirs are many
PROBES = ("linear_probe", "attentive_probe", "linear_probe_grid")
OTHERS = ("knn", "finetune", "ade20k", "linear_segmentation", "knn_segmentation", "coco", "coco_cascade")
NO_IMAGES = {"ade20k_grid", "pretraining_cost"}  # reads results; compares pretrainings, which have no file
AS_FINETUNE = {"food101", "clipart", "sketch"}  # the same stage on other data


@pytest.fixture
def seen(monkeypatch):
    """The images that any encoder embeds, as they come."""
    images, embed = [], Encoder.embed

    def remember(self, given, *rest):
        images.append(given.detach().clone())
        return embed(self, given, *rest)

    monkeypatch.setattr(Encoder, "embed", remember)
    return images


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """The folders of data that evaluations ask for, each rendered once."""
    found = {}

    def render(job):
        if job.id not in found:
            found[job.id] = tmp_path_factory.mktemp("data")
            run_stage(job.config, Run(found[job.id], {}, SITE, join_group("cpu")))
            (found[job.id] / "result.json").write_text("{}")
        return found[job.id]

    return render


def write(folder, stats):
    """An encoder of these pixels, as a job leaves it; None: one that was trained here."""
    folder.mkdir()
    torch.manual_seed(0)
    kind = Encoder if stats is None else FileEncoder
    encoder = kind(VARIANTS["nano_s"], 48)
    if stats is not None:
        encoder.pixel_stats = stats
    save_encoder(encoder, folder / ENCODER)
    (folder / "result.json").write_text("{}")


@pytest.fixture
def begin(tiny, tmp_path, rendered):
    """An evaluation at a scale of seconds, and the run of its job."""
    source = make_job(tiny.apply(RandomEncoder(kind="random_encoder", variant="vit_b", image_size=224)))

    def begin(recipe, stats=ODD, site=SITE):
        if not (tmp_path / "encoder").exists():
            write(tmp_path / "encoder", stats)
        config = tiny.apply(EVALUATIONS[recipe]())
        if recipe == "finetune":  # noise in erased boxes, and mixtures of two images, are no bytes
            config = config.replace(random_erasing=0.0, mixing=config.mixing.replace(mixup=0.0, cutmix=1.0))
        folder = tmp_path / f"{recipe}-{tmp_path.name}"  # mmengine knows a runner by its folder's name
        folder.mkdir()
        inputs = {"encoder": tmp_path / "encoder", "data": rendered(make_job(config, encoder=source).inputs["data"])}
        return config, Run(folder, inputs, site, join_group("cpu"))

    return begin


def share_of_bytes(images, stats):
    """How many of the values are whole bytes once the normalisation is taken back; zeros of padding aside."""
    mean, std = (torch.tensor(values)[:, None, None] for values in stats)
    counts = torch.zeros(2)
    for batch in images:
        values = 255.0 * (batch * std + mean)
        is_byte = ((values - values.round()).abs() < 0.01) & (values > -0.5) & (values < 255.5)
        inside = (batch != 0).any(dim=1, keepdim=True).expand_as(batch)
        counts += torch.stack([(is_byte & inside).sum(), inside.sum()])
    assert counts[1] > 10_000
    return float(counts[0] / counts[1])


def assert_pixels(images, stats):
    assert share_of_bytes(images, stats) == 1.0
    assert share_of_bytes(images, IMAGENET if stats is ODD else ODD) < 0.2


@pytest.mark.parametrize("recipe", [*PROBES, *OTHERS])
def test_an_evaluation_shows_the_encoder_its_own_pixels(recipe, begin, seen):
    run_stage(*begin(recipe))
    assert_pixels(seen, ODD)


@pytest.mark.parametrize("recipe", ["linear_probe", "knn", "finetune", "ade20k", "knn_segmentation", "coco"])
def test_an_encoder_that_was_trained_here_is_shown_imagenets(recipe, begin, seen):
    run_stage(*begin(recipe, stats=None))
    assert_pixels(seen, IMAGENET)


def test_probes_of_one_pass_and_views_made_on_the_device_too(begin, seen):
    site = SITE.replace(resize="device")
    found = {}
    run_stages([begin(recipe, site=site) for recipe in PROBES], lambda number, numbers: found.update({number: numbers}))
    assert [isinstance(numbers, dict) for numbers in found.values()] == [True] * 3, found
    assert_pixels(seen, ODD)


def test_verification_looks_at_its_own_pixels(begin, seen):
    """The encoder's, and those of the untrained one beside it; the noise that it is shown first is no picture."""
    config, run = begin("knn")
    checks = verify(run.inputs["encoder"], Pictures(config.data, config.data.roots({}, run.inputs)), "cpu")
    assert "0.31,0.42,0.57/0.21,0.33,0.47: trained here" in [check.found for check in checks]
    assert_pixels(seen[1:], ODD)


def test_no_evaluation_is_left_out():
    assert {*PROBES, *OTHERS, *NO_IMAGES, *AS_FINETUNE} == set(EVALUATIONS)
