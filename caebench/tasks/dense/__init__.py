"""Dense tasks: OpenMMLab's models and evaluators in mmengine's Runner, under caebench's contract (ADR 12).

Importing this package imports OpenMMLab: without its greetings, and with torchvision's operators in place of mmcv's.
"""

import contextlib
import io
import logging
import warnings

import cv2

from caebench.models import mmcv_ops

with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
    warnings.simplefilter("ignore")
    mmcv_ops.install()
    from mmengine.logging import MMLogger

    MMLogger.get_instance("mmengine", log_level="ERROR").setLevel(logging.ERROR)
    import mmdet.datasets.transforms
    import mmdet.evaluation
    import mmdet.models  # noqa: F401
    import mmseg.datasets.transforms
    import mmseg.models  # noqa: F401

cv2.setNumThreads(0)  # a loader's processes are threads enough
