"""Results that are joined: bundles and run folders, opened and verified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from synthbench.board.pairing import Baseline, Place, baselines_of
from synthbench.bundle.contents import Contents, read_contents, read_run
from synthbench.bundle.findings import Findings
from synthbench.bundle.reading import BundleFile
from synthbench.bundle.verifying import verify_bundle
from synthbench.errors import ConfigError, DataError

__all__ = ["Entry", "open_entry", "verified_datasets", "verify_entry"]


@dataclass(frozen=True, eq=False)
class Entry:
    """A result.

    Attributes
    ----------
    name : str
    contents : Contents
    verified : frozenset of str
        Titles of the datasets on whose test images its scores were computed again.
    path : Path
    """

    name: str
    contents: Contents
    verified: frozenset[str] = frozenset()
    path: Path = field(default_factory=Path)

    @cached_property
    def baselines(self) -> Mapping[Place, Baseline]:
        """The trainings on real images alone that its trainings are paired with.

        Raises
        ------
        DataError
            If its plan contradicts its trainings.
        """
        try:
            return baselines_of(self.contents)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DataError(
                f"{self.name}: plan and trainings contradict each other ({error!r}); see 'synthbench verify'"
            ) from None


def open_entry(path: str | Path, name: str = "", verified: frozenset[str] = frozenset()) -> Entry:
    """Open a bundle or a run folder; nothing is verified.

    Parameters
    ----------
    path
    name
        By default that of the file or folder.
    verified
        See `Entry`.

    Raises
    ------
    ConfigError, DataError
        If it is neither, can't be read, or its run isn't finished: one line.
    """
    path = Path(path)
    name = name or path.resolve().name.removesuffix(".zip")
    if path.is_dir():
        contents = read_run(path)
        if (contents.results.runs["status"] != "ok").any():
            raise ConfigError(
                f"{path}: its run isn't finished, or trainings failed; the same 'synthbench run' command resumes it"
            )
        return Entry(name, contents, verified, path)
    with BundleFile(path) as file:
        try:
            return Entry(name, read_contents(file), verified, path)
        except DataError as error:
            raise DataError(f"{path}: {error}; see 'synthbench verify {path}'") from None
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            raise DataError(
                f"{path}: has content that no run writes ({error!r}); see 'synthbench verify {path}'"
            ) from None


def verify_entry(path: Path, data: Sequence[str]) -> tuple[Findings, frozenset[str]]:
    """Verify a bundle, and return what was found and the datasets on which its scores were computed again.

    Parameters
    ----------
    path
    data
        Datasets of the bundle, by their names in the library or as paths.

    Raises
    ------
    ConfigError, DataError
        As `synthbench.bundle.verifying.verify_bundle` does.
    """
    findings = verify_bundle(path, data)
    return findings, frozenset() if findings.problems else frozenset(findings.scored)


def verified_datasets(path: Path, data: Sequence[str]) -> frozenset[str]:
    """Return on which datasets all scores of a result could be computed again; none of a run folder, or without data.

    Raises
    ------
    ConfigError
        If the bundle has problems.
    """
    if path.is_dir() or not data:
        return frozenset()
    findings, verified = verify_entry(path, data)
    if findings.problems:
        raise ConfigError(f"{path}: {findings.problems[0]}; see 'synthbench verify {path}'")
    return verified
