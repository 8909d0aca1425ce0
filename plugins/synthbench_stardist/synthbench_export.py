"""StarDist in its own format: a folder that ``stardist.models.StarDist2D`` opens."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np

from synthbench import ExportedModel
from synthbench.types import Image
from synthbench_stardist.segmenter import StarDist

NAME = "stardist"


def export(segmenter: StarDist, folder: Path) -> ExportedModel:
    """Write configuration, weights and thresholds; see `synthbench.plugin.exports`."""
    from csbdeep.utils import save_json

    model, place = segmenter.model, folder / NAME
    place.mkdir()
    save_json(vars(model.config), str(place / "config.json"))
    with segmenter.on_device():
        model.keras_model.save_weights(str(place / "weights_best.h5"))
    thresholds = {"prob": float(model.thresholds.prob), "nms": float(model.thresholds.nms)}
    (place / "thresholds.json").write_text(json.dumps(thresholds) + "\n", encoding="utf-8")
    usage = (
        "A model of StarDist. In Python, in this folder:\n\n```python\n"
        "from csbdeep.utils import normalize\nfrom stardist.models import StarDist2D\n\n"
        f'model = StarDist2D(None, name="{NAME}", basedir=".")\n'
        "labels, _ = model.predict_instances(normalize(image, 1, 99.8, axis=(0, 1)))\n```\n\n"
        f"Its thresholds (prob {thresholds['prob']:.3g}, nms {thresholds['nms']:.3g}) are read from the folder."
    )

    def compare(image: Image) -> tuple[float, float]:
        from stardist.models import StarDist2D

        with segmenter.on_device(), contextlib.redirect_stdout(io.StringIO()):
            opened = StarDist2D(None, name=NAME, basedir=str(folder))
            planes = segmenter.as_input(image)
            outputs = [each.predict(planes, show_tile_progress=False) for each in (opened, model)]
        difference = max(float(np.abs(a - b).max()) for a, b in zip(*outputs, strict=True))
        return difference, max(float(np.abs(part).max()) for part in outputs[1])

    return ExportedModel("StarDist", usage, compare)
