"""Samples of probes that share a pass: each augmentation's as it makes them alone."""

import torch
from PIL import Image

from caebench.data.samples.labelled import LabelledSample
from caebench.data.samples.shared_pass import Augmentation, SeveralViews, collate
from caebench.data.transforms import CropAndFlip


def test_views_that_are_equal_are_one():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (30, 50, 3), dtype=torch.uint8, generator=generator).numpy()
    views = SeveralViews([Augmentation(16, 0.5, True), Augmentation(16, 0.5, False)], seed=3)
    samples = [views(Image.fromarray(pixels), 7, (epoch, 5)) for epoch in range(40)]
    nums = [len(sample["views"]) for sample in samples]
    assert set(nums) == {1, 2}, "some boxes do not fit at the first try"
    batch = collate(samples)
    assert len(batch["image"]) == sum(nums) and batch["rows"].shape == (2, 40)
    for number, one_try in enumerate((True, False)):
        transform = CropAndFlip(16, 0.5, one_try=one_try)
        alone = LabelledSample(transform, 3)
        for epoch in range(40):
            assert torch.equal(
                batch["image"][batch["rows"][number, epoch]], alone(Image.fromarray(pixels), 7, (epoch, 5))["image"]
            )
    assert batch["label"].tolist() == [7] * 40 and batch["index"].tolist() == [5] * 40
