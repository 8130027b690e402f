"""From what they are to what they do: the half that trains reads this."""

from caebench_toy.nearest_centroid import classify_by_centroid
from caebench_toy.rotation import RotationMethod
from caebench_toy.specs import NearestCentroid, Rotation

STAGES = {NearestCentroid: classify_by_centroid}
METHODS = {Rotation: RotationMethod}
