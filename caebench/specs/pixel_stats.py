"""The mean and the deviation of the pixels that an encoder was trained on: they belong to its checkpoint (ADR 25)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, NamedTuple

from pydantic import AfterValidator

from caebench.specs.did_you_mean import suggest

Triple = tuple[float, float, float]


class PixelStats(NamedTuple):
    """What images in 0..1 are normalised by: red, green, blue."""

    mean: Triple
    std: Triple


NAMED: Mapping[str, PixelStats] = {
    "imagenet": PixelStats((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),  # timm/data/constants.py
    "inception": PixelStats((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),  # timm/data/constants.py
    "clip": PixelStats(  # openai/CLIP clip/clip.py
        (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    ),
}
IMAGENET = NAMED["imagenet"]
SAME = 1e-6  # between numbers that are one: configs hold them as float32, too
FORM = f"{', '.join(NAMED)}, or M1,M2,M3/S1,S2,S3 of pixels in 0..1"
OPTION = f"--pixel-stats {'|'.join(NAMED)}|M1,M2,M3/S1,S2,S3"


def parse_stats(text: str) -> PixelStats:
    """The statistics that a name, or `M1,M2,M3/S1,S2,S3`, stands for.

    Raises:
        ValueError: it is neither, or holds numbers that cannot be those of pixels in 0..1.
    """
    if text in NAMED:
        return NAMED[text]
    try:
        mean, std = ([float(number) for number in part.split(",")] for part in text.split("/"))
    except ValueError:
        raise ValueError(f"pixel statistics '{text}': expected {FORM}.{suggest(text, NAMED)}") from None
    return make_stats(mean, std)


def make_stats(mean: Sequence[float], std: Sequence[float]) -> PixelStats:
    """Statistics of these numbers: those that have a name exactly, where they are as good as equal.

    Raises:
        ValueError: they are not three and three, or cannot be those of pixels in 0..1.
    """
    found = PixelStats(_triple(mean), _triple(std))
    if not all(0.0 <= value <= 1.0 for value in found.mean) or not all(0.0 < value <= 1.0 for value in found.std):
        raise ValueError(f"pixel statistics '{_numbers(found)}': a mean is from 0 to 1, a deviation above 0 and to 1")
    return next((known for known in NAMED.values() if _close(known, found)), found)


def name_of(stats: PixelStats) -> str:
    """Their name, or their numbers, in the form that `parse_stats` reads."""
    return next((name for name, known in NAMED.items() if known == stats), _numbers(stats))


def canonical_name(text: str) -> str:
    """The one way to write some statistics: equal ones have equal identities."""
    return name_of(parse_stats(text))


PixelStatsName = Annotated[str, AfterValidator(canonical_name)]


class SourcedStats(NamedTuple):
    """What one source says of a checkpoint's pixels."""

    stats: str  # as `name_of` writes it
    source: str


def settle(sources: Sequence[SourcedStats], given: str | None, what: str) -> SourcedStats | None:
    """What the first source says, if no other says otherwise; without sources what the user gives, or nothing.

    Raises:
        ValueError: two of them say different things.
    """
    asked = [] if given is None else [SourcedStats(canonical_name(given), "--pixel-stats")]
    told = [*sources, *asked]
    for other in told[1:]:
        if other.stats != told[0].stats:
            first = f"{told[0].source} says {told[0].stats}"
            do = "Leave --pixel-stats out" if other.source == "--pixel-stats" else "Correct one of them"
            raise ValueError(
                f"{what}: the statistics of its pixels: {first}, and {other.source} {other.stats}. {do}, or name "
                "another --family."
            )
    return told[0] if told else None


def _triple(numbers: Sequence[float]) -> Triple:
    if len(numbers) != 3 or not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"pixel statistics {list(numbers)}: expected three numbers: red, green, blue")
    red, green, blue = (float(number) for number in numbers)
    return red, green, blue


def _close(one: PixelStats, other: PixelStats) -> bool:
    return all(abs(ours - theirs) <= SAME for ours, theirs in zip(_flat(one), _flat(other), strict=True))


def _flat(stats: PixelStats) -> Iterator[float]:
    yield from stats.mean
    yield from stats.std


def _numbers(stats: PixelStats) -> str:
    return "/".join(",".join(repr(value) for value in part) for part in stats)
