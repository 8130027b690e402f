"""Few-shot suffixes, how many images a draw has, and what of a job follows from it."""

import math

import numpy as np
import pytest

from caebench.datasets.splits import Size
from caebench.planning.scale import SCALES
from caebench.specs.evaluations.attentive_probe import attentive_probe
from caebench.specs.evaluations.finetune import finetune
from caebench.specs.evaluations.knn import knn
from caebench.specs.evaluations.linear_probe import linear_probe
from caebench.specs.evaluations.linear_probe_grid import linear_probe_grid
from caebench.specs.inputs.dataset import IMAGENET
from caebench.specs.inputs.few_shot import FewShot, apportion, parse
from caebench.specs.inputs.random_encoder import random_encoder
from caebench.specs.job import make_job
from caebench.specs.optim import LARS, AdamW, Optimization
from caebench.specs.pretrain import Pretrain
from caebench.specs.registry import SOURCES

SHARE = r"Write @1% \(a share of the training images, above 0 % and below 100 %\) or @10shot \(images of each class\)\."
WRONG = {
    "food101@0%": r"data set 'food101@0%': @0% of the training images are no images",
    "food101@100%": r"data set 'food101@100%': @100% of the training images are all images: leave the suffix out",
    "food101@250%": r"data set 'food101@250%': @250% of the training images are too many",
    "food101@0shot": r"data set 'food101@0shot': no images of a class",
    "food101@10": r"data set 'food101@10': '@10' is no few-shot suffix",
    "food101@-1shot": r"data set 'food101@-1shot': '@-1shot' is no few-shot suffix",
    "food101@1e3%": r"data set 'food101@1e3%': '@1e3%' is no few-shot suffix",
    "food101@1.%": r"data set 'food101@1\.%': '@1\.%' is no few-shot suffix",
    "food101@": r"data set 'food101@': '@' is no few-shot suffix",
    "food101@1%@10shot": r"data set 'food101@1%@10shot': 2 suffixes, and a data set has one at most",
}
OPTIMIZATION = Optimization(
    optimizer=AdamW(kind="adamw"), epochs=10, warmup_epochs=1, global_batch=4096, base_lr=0.001, precision="fp32"
)


def lars(optimization):
    return optimization.replace(optimizer=LARS(kind="lars"))


@pytest.mark.parametrize("text", list(WRONG))
def test_a_suffix_that_says_nothing_is_one_line(text):
    with pytest.raises(ValueError, match=f"^{WRONG[text]}\\. {SHARE}$"):
        parse(text)


def test_a_suffix_is_a_share_or_images_of_each_class():
    assert parse("food101") == ("food101", None)
    assert parse("food101@0.5%") == ("food101", FewShot(share=0.005))
    assert parse("food101@10shot") == ("food101", FewShot(shots=10))


@pytest.mark.parametrize("fields", [{}, {"share": 0.1, "shots": 1}, {"share": 1.0}, {"shots": 0}])
def test_few_shot_data_are_exactly_one_of_two(fields):
    with pytest.raises(ValueError, match=r"exactly one of 'share' and 'shots'|less than 1|greater than"):
        FewShot(**fields)


def test_the_number_of_images_is_known_without_a_list():
    whole = Size(1000, 1_281_167, 50_000)
    assert FewShot(shots=10).size(whole) == (1000, 10_000, 50_000)
    assert FewShot(share=0.01).size(whole) == (1000, 12_812, 50_000)
    assert FewShot(share=0.0001).size(whole) == (1000, 1000, 50_000), "one of each class"


def test_a_share_is_spread_as_the_whole_set_is():
    rng = np.random.default_rng(0)
    for _ in range(200):
        sizes = rng.integers(1, 60, rng.integers(1, 12)).tolist()
        total = int(rng.integers(len(sizes), sum(sizes) + 1))
        found = apportion(total, sizes)
        assert sum(found) == total
        assert all(1 <= one <= size for one, size in zip(found, sizes, strict=True))
        exact = [total * size / sum(sizes) for size in sizes]
        if min(exact) >= 1:
            assert all(abs(one - share) < 1 for one, share in zip(found, exact, strict=True))
    assert apportion(5, [100, 1, 1]) == [3, 1, 1]
    assert apportion(5, [4, 4, 4]) == [2, 2, 1], "of equal remainders the first"


def test_a_class_with_too_few_images_is_named():
    with pytest.raises(ValueError, match=r"^class 1 has 3 training images, 4 are to be drawn$"):
        FewShot(shots=4).of_each_class([9, 3, 9])
    with pytest.raises(ValueError, match=r"^class 2 has 0 training images, 1 are to be drawn$"):
        FewShot(share=0.5).of_each_class([9, 3, 0])


def test_every_draw_depends_on_the_job_of_the_whole_set():
    encoder = make_job(random_encoder())
    whole, few = (make_job(knn(data=name), encoder=encoder) for name in ("imagenet1k", "imagenet1k@10shot"))
    assert few.inputs["data"].id == whole.inputs["data"].id
    assert few.id != whole.id
    assert few.slug.startswith("imagenet1k-10shot-d0-")


@pytest.mark.parametrize("scale", list(SCALES))
def test_synthetic_data_are_drawn_from_too(scale):
    config = SCALES[scale].apply(linear_probe(data="food101@10shot"))
    assert config.data.few == FewShot(shots=10)
    assert config.data.size.train == 10 * config.data.size.num_classes


def test_kinds_that_read_whole_sets_refuse_few_shot_data():
    config = SOURCES["mae"]()
    assert isinstance(config, Pretrain)
    few = config.replace(data=IMAGENET.replace(few=FewShot(share=0.1)))
    with pytest.raises(ValueError, match=r"^field 'data\.few': pretrain takes whole data sets, not imagenet1k@10%\."):
        make_job(few)


def test_more_shots_than_there_are_images_are_refused_when_planned():
    encoder = make_job(random_encoder())
    with pytest.raises(
        ValueError, match=r"^data set 'food101@1000shot': 101 classes need 101,000 training images, and"
    ):
        make_job(knn(data="food101@1000shot"), encoder=encoder)


# ---- fitted batch and rate -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("num_train", "batch"),
    [(1_281_167, 4096), (32_768, 4096), (32_767, 2048), (10_000, 1024), (1010, 64), (128, 16), (20, 16), (7, 4)],
)
def test_the_batch_is_halved_until_an_epoch_has_steps(num_train, batch):
    assert OPTIMIZATION.fitted(num_train).global_batch == batch


def test_the_peak_rate_follows_the_optimizer():
    adam, momentum = OPTIMIZATION.fitted(1010), lars(OPTIMIZATION).fitted(1010)
    assert adam.lr == pytest.approx(OPTIMIZATION.lr * math.sqrt(64 / 4096))
    assert momentum.lr == pytest.approx(OPTIMIZATION.lr)
    assert (adam.epochs, adam.warmup_epochs) == (OPTIMIZATION.epochs, OPTIMIZATION.warmup_epochs)


def test_fitting_twice_is_fitting_once():
    fitted = OPTIMIZATION.fitted(1010)
    assert fitted.fitted(1010) is fitted


@pytest.mark.parametrize("recipe", [linear_probe, linear_probe_grid, attentive_probe, finetune])
def test_published_sets_are_never_fitted(recipe):
    paper = SCALES["paper"]
    assert paper.apply(recipe(data="clipart")) == recipe(data="clipart")
    few = paper.apply(recipe(data="food101@10shot"))
    assert few.optimization == recipe().optimization.fitted(1010)
    assert few.protocol()["batch"] == "64"


def test_what_goes_with_batch_and_rate_is_fitted_too():
    grid, whole = SCALES["paper"].apply(linear_probe_grid(data="food101@1shot")), linear_probe_grid()
    factor = grid.optimization.base_lr / whole.optimization.base_lr
    assert grid.base_lrs == pytest.approx([rate * factor for rate in whole.base_lrs])
    tuned = SCALES["paper"].apply(finetune(data="food101@1shot"))
    assert (tuned.optimization.global_batch, tuned.mixing.group) == (16, 16)
