"""Verification of a bundle: `verify_bundle`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synthbench.bundle._data_checks import check_scores, open_data
from synthbench.bundle._environment_checks import check_environment
from synthbench.bundle._file_checks import check_files, check_metadata, check_seals
from synthbench.bundle._plan_checks import check_plan, check_splits
from synthbench.bundle._prediction_checks import check_predictions
from synthbench.bundle._sample_checks import check_samples
from synthbench.bundle._table_checks import check_leaderboard, check_tables
from synthbench.bundle._training_checks import check_trainings
from synthbench.bundle._weights import check_weights
from synthbench.bundle.contents import Contents, read_contents
from synthbench.bundle.findings import Findings
from synthbench.bundle.reading import BundleFile
from synthbench.errors import SynthbenchError

__all__ = ["verify_bundle"]


def verify_bundle(path: Path, data: Sequence[str] = ()) -> Findings:
    """Verify a bundle of unknown origin.

    Parameters
    ----------
    path
    data
        Datasets of the bundle, by their names in the library or as paths: their true labels are needed to compute
        scores again.

    Returns
    -------
    Findings
        Problems, and what was and wasn't verified. What a bundle shows is that its parts agree; that trainings took
        place as it says can only be shown by training again.

    Raises
    ------
    Refused
        If it is no bundle, has a later format, or holds what no bundle holds.
    DataError
        If a dataset can't be opened, or isn't the one that the run was made with.
    """
    findings = Findings()
    with BundleFile(path) as file:
        check_files(file, findings)
        check_seals(file, findings)
        contents = None
        with findings.check("bundle", "study, splits and tables can be read, and don't contradict themselves"):
            contents = read_contents(file)
        if contents is None:
            findings.not_verified.append("everything else: what can't be read can't be compared")
            return findings
        _check_contents(file, contents, data, findings)
    findings.not_verified.append(
        "numbers of fidelity and label consistency, sizes of objects, scores on validation images, copies among "
        "ready-made images, and what weights and generators have seen: a bundle doesn't hold the images that they need"
    )
    findings.not_verified.append(
        "descriptions of methods, sources and licences of datasets, hardware, times, memory, the commit of the code, "
        "and the steps of named budgets: nothing else in a bundle tells them"
    )
    findings.not_verified.append("that the trainings took place: only training again shows that (--retrain)")
    return findings


def _check_contents(file: BundleFile, contents: Contents, data: Sequence[str], findings: Findings) -> None:
    check_metadata(file, contents.study.name, findings)
    check_splits(contents, findings)
    check_plan(contents, findings)
    check_trainings(contents, findings)
    check_tables(contents, findings)
    check_predictions(file, contents, findings)
    check_weights(file, contents, findings)
    check_environment(file, contents, findings)
    check_leaderboard(file, contents, findings)
    opened = {}
    try:
        opened = open_data(contents, data)
    except SynthbenchError as error:
        if not findings.problems:
            raise
        findings.not_verified.append(str(error))
    if opened:
        check_scores(file, contents, opened, findings)
    check_samples(file, contents, opened, findings)
    missing = [title for title in contents.datasets if title not in opened]
    if missing:
        findings.not_verified.append(
            f"scores and test labels of {', '.join(missing)}: give the dataset with --data (a name or a path)"
        )
