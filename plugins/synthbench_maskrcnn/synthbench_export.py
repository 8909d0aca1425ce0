"""Why Mask R-CNN isn't exported."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from synthbench.errors import PluginError
from synthbench_maskrcnn.segmenter import MaskRCNN


def export(segmenter: MaskRCNN, folder: Path) -> NoReturn:
    """Refuse.

    Raises
    ------
    PluginError
        Always.
    """
    raise PluginError(
        "segmenter 'mask-rcnn' can't be exported: the number of its detections depends on the image, so a trace of it "
        "is right for one image only, and BioImage.IO describes no lists of boxes; use 'synthbench predict'"
    )
