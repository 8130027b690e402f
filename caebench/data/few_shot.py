"""The drawn part of a training split (ADR 43)."""

from caebench.data.randomness import Purpose, generator
from caebench.datasets.errors import DataError
from caebench.datasets.splits import ImageSplit, fingerprint
from caebench.specs.inputs.few_shot import FewShot


def draw(few: FewShot, split: ImageSplit, num_classes: int) -> ImageSplit:
    """The images of a draw, in the order of the whole list.

    They follow from draw, class and the class's images in the list alone, whatever the job, its seed and machine; so a
    draw's 1 shot is among its 10.

    Raises:
        DataError: a class has too few images.
    """
    of_class: list[list[int]] = [[] for _ in range(num_classes)]
    for number, (_, label) in enumerate(split.entries):
        of_class[label].append(number)
    try:
        wanted = few.of_each_class([len(numbers) for numbers in of_class])
    except ValueError as error:
        raise DataError(split.root, str(error), "Ask for fewer images, or complete the data set.") from error
    chosen: list[int] = []
    for label, (numbers, num) in enumerate(zip(of_class, wanted, strict=True)):
        order = generator(Purpose.FEW_SHOT, few.draw, label).permutation(len(numbers))
        chosen += [numbers[place] for place in order[:num]]
    entries = [split.entries[number] for number in sorted(chosen)]
    return ImageSplit(split.root, entries, fingerprint(entries))
