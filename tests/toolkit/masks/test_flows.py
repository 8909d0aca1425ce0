"""Cellpose's flows: the library's own, turned with the picture, and its loss without unknown pixels."""

from __future__ import annotations

import importlib
from itertools import product

import numpy as np
import pytest
import torch
from scipy import ndimage

from helpers.label_maps import discs
from synthbench import Budget, Sample, SampleSet, TrainingMix
from synthbench.metrics.matching import count, pooled
from synthbench.toolkit.masks import flows
from synthbench.toolkit.training.patches import PatchStream, dihedral

pytest.importorskip("cellpose", reason="needs the extra 'cellpose'")


def saying(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return flow and cellprob of a network that has learned everything."""
    inside, flow = np.split(flows.targets(labels), [1])
    return flows.FLOW_SCALE * flow, 10 * inside[0] - 5


def region_of(labels: np.ndarray) -> np.ndarray:
    region = np.zeros(labels.shape, bool)
    region[:, 2 * region.shape[1] // 3 :] = True
    return region


def test_targets_are_the_librarys(blob_set: SampleSet) -> None:
    from cellpose.dynamics import labels_to_flows

    for sample in blob_set[:4]:
        theirs = labels_to_flows([sample.labels.astype(np.int32)], device=torch.device("cpu"))[0]
        np.testing.assert_allclose(flows.targets(sample.labels), theirs[1:], atol=1e-6)


def test_targets_depend_on_the_shapes_and_not_on_the_ids() -> None:
    labels = discs().astype(np.int64)
    high = np.where(labels > 0, 2**31 - 1 - 1000 * labels, 0)
    np.testing.assert_allclose(flows.targets(labels), flows.targets(high), atol=1e-6)


def test_an_empty_image_has_no_flow_and_a_full_one_has() -> None:
    assert not flows.targets(np.zeros((9, 8), np.uint8)).any()
    full = flows.targets(np.full((9, 9), 7, np.uint8))
    assert (full[0] == 1).all()
    assert full[1, 0, 4] > 0.99
    assert full[2, 4, 8] < -0.99


@pytest.mark.parametrize("symmetry", range(8))
def test_the_flow_of_a_turned_picture_is_the_turned_flow(symmetry: int) -> None:
    labels = discs()
    turned = torch.from_numpy(dihedral(flows.targets(labels), symmetry).copy())[None]
    np.testing.assert_allclose(
        flows.transform_flows(turned, [symmetry])[0], flows.targets(dihedral(labels, symmetry).copy()), atol=1e-6
    )


def test_batches_of_the_stream_become_flows_of_what_they_show() -> None:
    labels = discs()
    samples = SampleSet.of([Sample("discs", (40 * labels).astype(np.uint8), labels)])
    stream = PatchStream(TrainingMix(samples), Budget(1, 16, 48), 0, encode=flows.encode, augment_intensity=False)
    images, planes = (torch.from_numpy(part) for part in stream.batch(0))
    symmetries = [stream.slot(slot).symmetry for slot in range(16)]
    assert len(set(symmetries)) > 4
    turned = flows.transform_flows(planes, symmetries)
    for image, target in zip(images, turned, strict=True):
        shown = np.unique(image[0].numpy().round(4), return_inverse=True)[1].reshape(48, 48)
        np.testing.assert_allclose(target, flows.targets(shown), atol=1e-6)


def test_perfect_flows_are_decoded_to_the_label_map(blob_set: SampleSet) -> None:
    counts = []
    for sample in blob_set[:6]:
        flow, cellprob = saying(sample.labels)
        labels = flows.dynamics().resize_and_compute_masks(flow, cellprob, min_size=1)
        counts.append(count(sample.labels, labels, (0.7,)))
    assert pooled(counts)["f1"][0] > 0.9


def test_resized_patches_keep_the_inside_sharp_and_the_flow_in_place() -> None:
    planes = torch.from_numpy(flows.targets(discs()))[None]
    images, large = flows.resize(planes[:, :1], planes, 96)
    assert images.shape == (1, 1, 96, 96)
    assert set(large[:, 0].unique().tolist()) == {0.0, 1.0}
    back = torch.nn.functional.avg_pool2d(large, 2)
    np.testing.assert_array_equal(back[:, 0], planes[:, 0])
    deep = torch.nn.functional.max_pool2d(-planes[:, :1], 3, 1, 1)[:, 0] == -1
    assert ((back - planes)[:, 1:].norm(dim=1)[deep]).mean() < 0.1
    same = flows.resize(images, large, 96)
    assert same[0] is images
    assert same[1] is large


def test_the_loss_is_the_librarys() -> None:
    from cellpose.train import _loss_fn_seg

    said = torch.randn(3, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    planes = np.stack([flows.targets(dihedral(discs(), s).copy()) for s in range(3)])
    theirs = _loss_fn_seg(planes, said, torch.device("cpu"))
    torch.testing.assert_close(flows.loss(said, torch.from_numpy(planes)), theirs)


@pytest.mark.parametrize("symmetry", range(8))
def test_unknown_pixels_have_no_part_in_the_loss(symmetry: int) -> None:
    labels = discs()
    sample = Sample("a", np.zeros(labels.shape, np.uint8), labels, ignore=region_of(labels))
    cut = dihedral(flows.encode(sample)[1], symmetry).copy()
    planes = flows.transform_flows(torch.from_numpy(cut)[None], [symmetry])
    unknown = torch.from_numpy(dihedral(sample.ignore, symmetry).copy())[None]
    said = torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = flows.loss(said, planes)
    loss.backward()
    assert not said.grad.movedim(1, -1)[unknown].any()
    known = said.detach().movedim(1, -1)[~unknown], planes.movedim(1, -1)[~unknown]
    flow = torch.nn.functional.mse_loss(known[0][:, :2], 5 * known[1][:, 1:])
    inside = torch.nn.functional.binary_cross_entropy_with_logits(known[0][:, 2], known[1][:, 0])
    torch.testing.assert_close(loss, 0.5 * flow + inside)


def test_unknown_pixels_stay_unknown_when_patches_are_resized() -> None:
    labels = discs()
    sample = Sample("a", np.zeros(labels.shape, np.uint8), labels, ignore=region_of(labels))
    planes = torch.from_numpy(flows.encode(sample)[1])[None]
    _, large = flows.resize(planes[:, :1], planes, 96)
    unknown = torch.from_numpy(sample.ignore.repeat(2, 0).repeat(2, 1))
    assert torch.equal(large[0, 0] == -1, unknown)


def test_a_batch_of_unknown_pixels_teaches_nothing() -> None:
    said = torch.randn(2, 3, 16, 16, requires_grad=True)
    loss = flows.loss(said, torch.full((2, 3, 16, 16), -1.0))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert not said.grad.any()


def test_objects_are_numbered_without_gaps_and_scored_by_their_mean_probability() -> None:
    labels = np.zeros((8, 8), np.uint16)
    labels[:2, :2], labels[4:, 4:] = 3, 9
    logits = np.where(labels == 3, 2.0, np.where(labels == 9, -1.0, 5.0)).astype(np.float32)
    found = flows.number_instances(labels, logits)
    np.testing.assert_array_equal(found.labels, np.select([labels == 3, labels == 9], [1, 2]))
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp([-2.0, 1.0])))
    assert (flows.number_instances(np.full((3, 3), 4), np.zeros((3, 3))).labels == 1).all()


def doubtful(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return flow and cellprob of a network that is unsure."""
    rng = np.random.default_rng(seed)
    flow, cellprob = saying(discs())
    flow = flow + ndimage.gaussian_filter(rng.normal(0, 8, flow.shape), (0, 1, 1))
    return flow.astype(np.float32), (cellprob + rng.normal(0, 2, cellprob.shape)).astype(np.float32)


@pytest.mark.parametrize("rounds", [200, 1 / (17 / 30) * 200])
def test_objects_at_any_thresholds_are_the_librarys(rounds: float) -> None:
    if not hasattr(flows.dynamics(), "masks_to_flows_cpu"):
        rounds = int(rounds)  # Cellpose 4 takes no others
    flow, cellprob = doubtful(0)
    device, counts = torch.device("cpu"), set()
    decoder = flows.FlowDecoder(flow, cellprob, rounds=rounds, device=device)
    for level, limit in product(*flows.THRESHOLD_GRID.values()):
        values = {"cellprob_threshold": level, "flow_threshold": limit}
        theirs = flows.dynamics().resize_and_compute_masks(flow, cellprob, niter=rounds, device=device, **values)
        np.testing.assert_array_equal(decoder.masks(values), theirs)
        counts.add(int(theirs.max()))
    assert len(counts) > 3


def test_an_output_without_objects_is_empty() -> None:
    decoder = flows.FlowDecoder(
        np.ones((2, 20, 24), np.float32), np.full((20, 24), -9.0), rounds=200, device=torch.device("cpu")
    )
    assert not decoder.masks(flows.DEFAULT_THRESHOLDS).any()
    assert decoder.masks(flows.DEFAULT_THRESHOLDS).shape == (20, 24)


def test_pixels_end_where_the_library_lets_them_end() -> None:
    dynamics = flows.dynamics()
    if not hasattr(dynamics, "masks_to_flows_cpu"):
        pytest.skip("Cellpose 4 computes otherwise")
    flow, cellprob = doubtful(1)
    field, places = np.ascontiguousarray(flow / 5), np.nonzero(cellprob > 0)
    follow = importlib.import_module("synthbench.toolkit.masks.flow_kernels").follow
    for steps in (0, 1, 7, 200):
        theirs = dynamics.steps_interp(field, places, steps, device=torch.device("cpu"))
        assert follow(field, *places, steps).tobytes() == np.asarray(theirs).tobytes()


def test_training_targets_are_the_librarys_bit_for_bit() -> None:
    dynamics = flows.dynamics()
    if not hasattr(dynamics, "masks_to_flows_cpu"):
        pytest.skip("Cellpose 4 computes otherwise")
    theirs = dynamics.masks_to_flows(discs().astype(np.int32), device=torch.device("cpu"))
    assert flows.targets(discs())[1:].tobytes() == theirs.astype(np.float32).tobytes()
