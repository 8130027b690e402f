"""The two views of pretraining, and the crops."""

import numpy as np
import pytest
import torch
from PIL import Image

from caebench.data.randomness import seeded
from caebench.data.samples.mixed import MixedSample
from caebench.data.transforms import OneTryCrop, TwoViews, evaluation, supervised, to_tensor
from caebench.specs.evaluations.finetune import finetune
from caebench.specs.pixel_stats import IMAGENET


@pytest.fixture(scope="module")
def picture():
    """Red tells the column, green the row: a view's colours say where it was cut."""
    ramp = np.linspace(0, 255, 80).round().astype(np.uint8)
    columns, rows = np.meshgrid(ramp, ramp)
    return Image.fromarray(np.stack([columns, rows, np.full_like(rows, 90)], axis=-1))


def denormalized(view):
    mean, std = (torch.tensor(values)[:, None, None] for values in IMAGENET)
    return view * std + mean


def test_both_views_show_the_same_crop(picture):
    views = TwoViews(48, 24, 0.2)
    for seed in range(30):
        with seeded(seed):
            view, tokenizer_view = views(picture)
        assert view.shape == (3, 48, 48) and tokenizer_view.shape == (3, 24, 24)
        assert tokenizer_view.min() >= 0.0 and tokenizer_view.max() <= 1.0
        smaller = torch.nn.functional.avg_pool2d(denormalized(view), 2)
        torch.testing.assert_close(smaller, tokenizer_view, atol=0.02, rtol=0)


def test_crops_are_flipped_half_of_the_time_and_stay_large_enough(picture):
    flipped, shares = 0, []
    for seed in range(200):
        with seeded(seed):
            view = denormalized(TwoViews(48, None, 0.5)(picture)[0])
        left, right = view[0, :, 0].mean(), view[0, :, -1].mean()
        flipped += int(left > right)
        shares.append(abs(right - left) * (view[1, -1].mean() - view[1, 0].mean()))
    assert 70 < flipped < 130
    assert min(shares) > 0.4


@pytest.mark.parametrize(
    "transform", [TwoViews(48, 24, 0.2), supervised(48, 0.08, "rand-m9-mstd0.5-inc1", 0.25)], ids=["two", "ft"]
)
def test_a_seed_fixes_the_view(picture, transform):
    from caebench.data.randomness import seeded_everywhere

    def view(seed):
        with seeded_everywhere(seed):
            made = transform(picture)
        return made if isinstance(made, torch.Tensor) else torch.cat([part.flatten() for part in made])

    torch.testing.assert_close(view(5), view(5), rtol=0, atol=0)
    assert not torch.equal(view(5), view(6))


def test_one_try_crops_stay_inside_wide_and_narrow_images():
    crop = OneTryCrop(16, (0.3, 1.0))
    for seed in range(100):
        for width, height in ((100, 10), (10, 100), (50, 50)):
            with seeded(seed):
                box = crop.make_params([Image.new("RGB", (width, height))])
            assert box["left"] >= 0 and box["left"] + box["width"] <= width and box["width"] > 0
            assert box["top"] >= 0 and box["top"] + box["height"] <= height and box["height"] > 0


def test_evaluation_sees_the_centre(picture):
    view = denormalized(evaluation(48)(picture))
    assert view.shape == (3, 48, 48)
    assert view[0].mean() == pytest.approx(0.5, abs=0.01) and view[1].mean() == pytest.approx(0.5, abs=0.01)
    edge = (1 - 224 / 256) / 2
    assert view[0, :, 0].mean() == pytest.approx(edge, abs=0.02)


def test_tensors_hold_the_pixels(picture):
    tensor = to_tensor(picture)
    assert tensor.dtype == torch.float32
    np.testing.assert_array_equal((tensor * 255).round().byte().permute(1, 2, 0).numpy(), np.asarray(picture))


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_training_images_are_flipped_as_often_as_the_config_says(picture, probability):
    plain = finetune().replace(randaugment="rand-m9-p0.0", random_erasing=0.0, crop_scale_min=1.0, flip=probability)
    make = MixedSample(plain.replace(image_size=48), plain, num_drop_path_uniforms=1)
    reds = [denormalized(make(picture, 0, (0, index))["image"])[0] for index in range(40)]
    share = sum(bool(red[:, 0].mean() > red[:, -1].mean()) for red in reds) / 40
    assert abs(share - probability) < 0.25 * (probability == 0.5) + 1e-9
