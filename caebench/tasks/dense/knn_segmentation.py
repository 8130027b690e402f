"""k-NN segmentation: each validation patch takes the labels of the training patches that look most alike.

Source: Hummingbird (arXiv 2306.01667), Sec. 3.1: cosine similarity of normalised patch tokens, labels as shares of a
patch's pixels, averaged over the k nearest with softmax weights. Images keep their aspect; padded pixels never vote.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from mmengine.registry import init_default_scope
from torch import Tensor
from torch.nn import functional as F

from caebench.checkpoints.encoder_file import read_encoder
from caebench.data.randomness import Purpose, generator
from caebench.files.layout import ENCODER, PER_CLASS
from caebench.models.pyramid import final_map
from caebench.models.vit import Encoder
from caebench.specs.evaluations.knn_segmentation import KNNSegmentation
from caebench.tasks.dense.engine import ValidationLoader, byte_stats
from caebench.tasks.dense.pictures import PictureHook
from caebench.tasks.dense.segmentation import IGNORED, PerClassIoU, evaluation_dataset
from caebench.training.run import Run
from caebench.training.step import autocast

SIMILARITIES = 2**27  # computed at once: half a gigabyte


class Bank(NamedTuple):
    """Patches of the training images."""

    tokens: Float[Tensor, "patches dim"]  # of unit length
    labels: Float[Tensor, "patches classes"]  # shares of a patch's pixels


class Prepared(NamedTuple):
    """An image as tokens, with what is needed to go back to its pixels."""

    tokens: Float[Tensor, "rows columns dim"]  # of unit length
    labels: Int[Tensor, "height width"]  # at the image's own size
    inside: tuple[int, int]  # pixels of the resized image, before padding to whole patches
    patch_size: int


def segment_by_neighbours(config: KNNSegmentation, run: Run) -> dict[str, Any]:
    """Fill a bank with patches of the training images, and label the validation images from it.

    Leaves `per_class.csv` and `pictures/`, as segmentation does. A job that was stopped starts over.

    Raises:
        Interrupted: a signal asked for a stop.
    """
    train, val = run.open_scenes(config.data)
    init_default_scope("mmseg")
    encoder = read_encoder(run.inputs["encoder"] / ENCODER, config.image_size).to(run.device).eval()
    bank = fill_bank(config, run, encoder, evaluation_dataset(train, config.image_size), len(train.classes))
    dataset = evaluation_dataset(val, config.image_size)
    metric = PerClassIoU(ignore_index=IGNORED)
    metric.dataset_meta = dataset.metainfo
    pictures = PictureHook(run.folder / "pictures", len(val.classes))
    for number, sample in enumerate(ValidationLoader(dataset, run)):
        data = sample["data_samples"][0]
        prepared = prepare(sample, encoder, config, run)
        data.set_data({"pred_sem_seg": type(data.gt_sem_seg)(data=label(prepared, bank, config)[None])})
        metric.process({}, [data.to_dict()])
        if run.group.is_main:
            pictures.after_val_iter(None, number, outputs=[data])
    found = metric.evaluate(len(dataset))
    if run.group.is_main:
        metric.write(run.folder / PER_CLASS)
        run.intervals.update(metric.intervals(config.seed))
    return {name: found[name] for name in ("mIoU", "mAcc", "aAcc")} | {"num_patches": len(bank.tokens)}


def fill_bank(config: KNNSegmentation, run: Run, encoder: Encoder, dataset: Any, num_classes: int) -> Bank:
    """Equally many patches of every image, drawn by (seed, index); those with no labelled pixel are left out."""
    share = max(1, config.bank_size // len(dataset))
    tokens, labels = [], []
    loader = ValidationLoader(dataset, run)
    for index, sample in zip(loader.sampler, loader, strict=True):
        prepared = prepare(sample, encoder, config, run)
        flat = prepared.tokens.flatten(0, 1)
        order = generator(Purpose.ORDER, config.seed, index).permutation(encoder.num_patches)  # every image has as many
        chosen = torch.from_numpy(order[:share]).to(run.device)
        tokens.append(flat[chosen])
        labels.append(label_shares(prepared, num_classes)[chosen])
    rows = [run.group.gather(torch.stack(part)) for part in (tokens, labels)]
    everything = Bank(*(part[: len(dataset)].flatten(0, 1) for part in rows))
    known = everything.labels.sum(dim=1) > 0
    return Bank(everything.tokens[known], everything.labels[known])


@torch.no_grad()
def prepare(sample: Any, encoder: Encoder, config: KNNSegmentation, run: Run) -> Prepared:
    """Normalise, pad to whole patches and encode one image."""
    mean, std = (torch.tensor(values, device=run.device).view(3, 1, 1) for values in byte_stats(encoder))
    image = (sample["inputs"][0].flip(0).to(run.device).float() - mean) / std  # OpenCV reads blue first
    height, width = image.shape[1:]
    patch_size = encoder.variant.patch_size
    padded = F.pad(image, (0, -width % patch_size, 0, -height % patch_size))
    with autocast(run.device, config.precision):
        (tokens,) = final_map(encoder, padded[None])
    labels = sample["data_samples"][0].gt_sem_seg.data[0].to(run.device)
    return Prepared(F.normalize(tokens.permute(1, 2, 0).float(), dim=-1), labels, (height, width), patch_size)


def label_shares(prepared: Prepared, num_classes: int) -> Float[Tensor, "patches classes"]:
    """What share of each patch's pixels each class has; ignored and padded pixels have none."""
    (height, width), patch_size = prepared.inside, prepared.patch_size
    resized = F.interpolate(prepared.labels[None, None].float(), (height, width), mode="nearest")[0, 0].long()
    padded = F.pad(resized, (0, -width % patch_size, 0, -height % patch_size), value=IGNORED)
    patches = padded.unfold(0, patch_size, patch_size).unfold(1, patch_size, patch_size).flatten(2).flatten(0, 1)
    counted = torch.zeros(len(patches), IGNORED + 1, device=patches.device)
    counted.scatter_add_(1, patches, torch.ones_like(patches, dtype=torch.float32))
    return counted[:, :num_classes] / patch_size**2


def label(prepared: Prepared, bank: Bank, config: KNNSegmentation) -> Int[Tensor, "height width"]:
    """The likeliest class of every pixel: votes between patches are interpolated, padding is cut off."""
    rows, columns, _ = prepared.tokens.shape
    chunk = max(1, SIMILARITIES // len(bank.tokens))
    votes = torch.cat([vote(part, bank, config) for part in prepared.tokens.flatten(0, 1).split(chunk)])
    grid = votes.T.unflatten(1, (rows, columns))[None]
    height, width = prepared.inside
    pixels = F.interpolate(grid, scale_factor=prepared.patch_size, mode="bilinear")[:, :, :height, :width]
    return F.interpolate(pixels, prepared.labels.shape, mode="bilinear")[0].argmax(dim=0)


def vote(tokens: Float[Tensor, "patches dim"], bank: Bank, config: KNNSegmentation) -> Float[Tensor, "patches classes"]:
    """The mean of the labels of the k nearest, weighted by a softmax of their similarities."""
    nearest = (tokens @ bank.tokens.T).topk(min(config.k, len(bank.tokens)))
    weights = (nearest.values / config.temperature).softmax(dim=1)
    return (weights[..., None] * bank.labels[nearest.indices]).sum(dim=1)
