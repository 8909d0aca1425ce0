"""Cellpose in its own format: a file that ``cellpose.models.CellposeModel`` opens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from synthbench import ExportedModel
from synthbench.types import Image
from synthbench_cellpose.segmenter import MIN_CHANNELS, TILE, Cellpose

FILE = "cellpose_model"


def export(segmenter: Cellpose, folder: Path) -> ExportedModel:
    """Write the network with the diameters that the library reads from it; see `synthbench.plugin.exports`."""
    network = segmenter.model.net
    with torch.no_grad():
        network.diam_mean.fill_(float(segmenter.model.diam_mean))
        network.diam_labels.fill_(float(segmenter.diameter))
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    torch.save(state, folder / FILE)
    channels = max(segmenter._channels, MIN_CHANNELS)
    high = segmenter.high_percentile
    flow, cellprob = (segmenter.thresholds[name] for name in ("flow_threshold", "cellprob_threshold"))
    options = f"normalize={{'percentile': [1, {high:g}]}}, flow_threshold={flow:g}, cellprob_threshold={cellprob:g}"
    shown = "channels=[0, 0]" if segmenter._channels == 1 else "channel_axis=-1"
    usage = (
        "A model of Cellpose 3. In the GUI: Models, Add custom torch model to GUI. In Python:\n\n```python\n"
        f"from cellpose import models\n\nmodel = models.CellposeModel(pretrained_model={FILE!r}, nchan={channels})\n"
        f"masks, flows, _ = model.eval(image, {shown}, {options})\n```\n\n"
        f"It brings objects of {segmenter.diameter:.1f} pixels to {segmenter.model.diam_mean:.1f}; for images of "
        "another pixel size, give the diameter of your objects."
    )

    def compare(image: Image) -> tuple[float, float]:
        from cellpose.models import CellposeModel

        model = CellposeModel(
            pretrained_model=str(folder / FILE), nchan=channels, mkldnn=False, device=torch.device("cpu")
        )
        outputs = [_output(each, segmenter, image) for each in (model, segmenter.model)]
        return float(np.abs(outputs[0] - outputs[1]).max()), float(np.abs(outputs[1]).max())

    return ExportedModel("Cellpose 3", usage, compare)


def _output(model: Any, segmenter: Cellpose, image: Image) -> Any:
    """Return flows and the logit of the inside, ``(3, height, width)``; the diameter is the one in the file."""
    given = {"diameter": segmenter.diameter} if model is segmenter.model else {}
    _, (_, flow, inside), _ = model.eval(
        segmenter.as_input(image),
        channels=None,
        channel_axis=-1,
        normalize=False,
        bsize=TILE,
        batch_size=1,
        compute_masks=False,
        **given,
    )
    return np.concatenate([flow, inside[None]])
