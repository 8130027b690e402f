"""Annotations that pycocotools alone would stop at."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from caebench.tasks.dense.detection import ById, silence

SQUARE = [1, 1, 9, 1, 9, 9, 1, 9]


@silence()
def mask_of(kind, path, polygons):
    """The mask of the only object."""
    image = {"id": 1, "file_name": "a.jpg", "height": 16, "width": 16}
    one = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 8, 8], "area": 64, "iscrowd": 0}
    content = {"images": [image], "annotations": [{**one, "segmentation": polygons}], "categories": [{"id": 1}]}
    path.write_text(json.dumps(content))
    index = kind(str(path))
    return index.annToMask(index.anns[1])


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
@pytest.mark.parametrize("flat", [[3, 3], [3, 3, 12, 12]])
def test_a_polygon_of_fewer_than_three_corners_is_left_out(flat, tmp_path):
    """As the first of an object it stops pycocotools; as a later one it adds nothing."""
    path = tmp_path / "instances.json"
    with pytest.raises(Exception, match=r"input type is not supported|incorrect type"):
        mask_of(COCO, path, [flat, SQUARE])
    alone = mask_of(COCO, path, [SQUARE])
    assert alone.sum() == 64
    for polygons in ([flat, SQUARE], [SQUARE, flat]):
        assert np.array_equal(mask_of(ById, path, polygons), alone)
    assert np.array_equal(mask_of(COCO, path, [SQUARE, flat]), alone)
