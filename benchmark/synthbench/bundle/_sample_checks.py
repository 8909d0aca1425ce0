"""Drawn samples of a bundle: of which drawing they are, and that none is an image of the dataset."""

from __future__ import annotations

from collections.abc import Mapping

from synthbench.bundle.contents import Contents
from synthbench.bundle.drawn_samples import FOLDER, image_names, read_sample
from synthbench.bundle.findings import Findings, content_of
from synthbench.bundle.reading import BundleFile
from synthbench.datasets.copies import Looks, find_copies, looks_of
from synthbench.errors import SynthbenchError
from synthbench.samples import INDEX, SampleSet

__all__ = ["check_samples"]


def check_samples(file: BundleFile, contents: Contents, opened: Mapping[str, SampleSet], findings: Findings) -> None:
    """Check the samples of each drawing; `opened`: the datasets that are at hand, by title."""
    dataset_of = {str(row["draw"]): str(row["dataset"]) for row in contents.trainings if row["draw"]}
    present = sorted({name.split("/")[1] for name in file.names if name.startswith(f"{FOLDER}/")})
    if not present:
        return
    findings.not_verified.append("that drawn samples come from the generators: only drawing again shows that")
    with findings.check(FOLDER, f"drawn samples of {len(present)} drawings are those that their indexes list"):
        for draw in present:
            index = f"{FOLDER}/{draw}/{INDEX}"
            with content_of(index):
                listed = sorted(row["image"] for row in file.json(index)["samples"])
            images = [name.removeprefix(f"{FOLDER}/{draw}/") for name in image_names(file, draw)]
            findings.expect(index, "list of images", listed, images)
    known: dict[str, Looks] = {}
    compared = False
    for draw in present:
        title = dataset_of.get(draw)
        if title is None:
            findings.add(f"{FOLDER}/{draw}", "is of no drawing of the plan")
        elif title in opened:
            if title not in known:
                known[title] = looks_of(opened[title])
            compared |= _compare(file, draw, (title, opened[title], known[title]), findings)
    if compared:
        findings.verified.append("no drawn sample is an image of the dataset")


def _compare(file: BundleFile, draw: str, against: tuple[str, SampleSet, Looks], findings: Findings) -> bool:
    """Report the samples of a drawing that are images of the dataset; return whether all were compared, and none is."""
    title, dataset, known = against
    samples, whole = {}, True
    for name in image_names(file, draw):
        try:
            samples[name] = read_sample(file, name)
        except SynthbenchError as error:
            whole = False
            findings.not_verified.append(f"whether it is an image of {title}: {error}")
    if not samples:
        return False
    names = {sample.id: name for name, sample in samples.items()}
    try:
        drawn = SampleSet.of(list(samples.values()))
    except SynthbenchError as error:
        findings.add(f"{FOLDER}/{draw}", f"is no sample set: {error}")
        return False
    copies = find_copies(drawn, dataset, known=known)
    for image, original in {copy.image: copy.of for copy in copies}.items():
        findings.add(names[image], f"is image {original!r} of {title}; a bundle holds no image of a dataset")
    return whole and not copies
