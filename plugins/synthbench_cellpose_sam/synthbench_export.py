"""Cellpose-SAM in the library's own format: a file that ``cellpose.models.CellposeModel`` of Cellpose 4 opens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synthbench import ExportedModel
from synthbench.types import Image
from synthbench_cellpose_sam.segmenter import CellposeSAM

FILE = "cellpose_sam_model"


def export(segmenter: CellposeSAM, folder: Path) -> ExportedModel:
    """Write the network as the library does; see `synthbench.plugin.exports`."""
    state = {name: value.detach().cpu().contiguous() for name, value in segmenter.model.net.state_dict().items()}
    torch.save(state, folder / FILE)
    flow, cellprob = (segmenter.thresholds[name] for name in ("flow_threshold", "cellprob_threshold"))
    usage = (
        "A model of Cellpose 4 (Cellpose-SAM). In the GUI: Models, Add custom torch model to GUI. In Python:\n\n"
        f"```python\nfrom cellpose import models\n\nmodel = models.CellposeModel(pretrained_model={FILE!r}, "
        "use_bfloat16=False)\n"
        f"masks, flows, _ = model.eval(image, flow_threshold={flow:g}, cellprob_threshold={cellprob:g})\n```\n\n"
        "Images aren't resized: give yours at the pixel size of the training images."
    )

    def compare(image: Image) -> tuple[float, float]:
        from cellpose.models import CellposeModel

        opened = CellposeModel(pretrained_model=str(folder / FILE), device=torch.device("cpu"), use_bfloat16=False)
        theirs, ours = (_output(model, segmenter, image) for model in (opened, segmenter.model))
        return float(np.abs(theirs - ours).max()), float(np.abs(ours).max())

    return ExportedModel("Cellpose 4", usage, compare)


def _output(model: Any, segmenter: CellposeSAM, image: Image) -> NDArray[Any]:
    """Return flows and the logit of the inside, ``(3, height, width)``."""
    planes = segmenter.as_input(image)
    _, (_, flow, inside), _ = model.eval(planes, channel_axis=-1, normalize=False, batch_size=1, compute_masks=False)
    return np.concatenate([flow, inside[None]])
