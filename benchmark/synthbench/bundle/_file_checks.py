"""Are the files of a bundle those that its manifest and its metadata list?"""

from __future__ import annotations

from synthbench.bundle import layout
from synthbench.bundle._machines import software_of
from synthbench.bundle.crate import check_crate, date_of, make_crate
from synthbench.bundle.findings import Findings
from synthbench.bundle.reading import BundleFile, parse_json
from synthbench.results import TABLES
from synthbench.store import key_of

__all__ = ["check_files", "check_metadata", "check_seals"]


def check_files(file: BundleFile, findings: Findings) -> None:
    """Compare names, sizes and SHA-256 of all files with the manifest."""
    listed = file.manifest["files"]
    present = [name for name in file.names if name != layout.MANIFEST]
    with findings.check(layout.MANIFEST, f"SHA-256 and size of {len(present)} files"):
        for name in sorted({*listed, *layout.REQUIRED} - set(file.names)):
            findings.add(name, "is missing")
        for name in present:
            if not layout.is_known(name):
                findings.add(name, "is of no kind that a bundle has, expected no such file")
            if name not in listed:
                findings.add(name, f"isn't listed in {layout.MANIFEST}, expected no such file")
                continue
            digest = file.sha256(name)
            if digest != listed[name]["sha256"]:
                findings.add(name, f"SHA-256 is {digest[:16]}…, expected {str(listed[name]['sha256'])[:16]}…")
            elif listed[name]["bytes"] != file.size(name):
                findings.add(name, f"has {file.size(name)} bytes, expected {listed[name]['bytes']!r}"[:200])


def check_seals(file: BundleFile, findings: Findings) -> None:
    """Compare tables and splits with the SHA-256 that the run sealed them with."""
    with findings.check(layout.SEAL, "tables and splits are those that the run sealed"):
        sealed = file.json(layout.SEAL)
        for table in TABLES:
            name = layout.table_file(table)
            findings.expect(name, "SHA-256", file.sha256(name), sealed[f"{table}.csv"])
        for name in file.names:
            if name.startswith("splits/"):
                content = file.json(name)
                expected = key_of({"format": content["format"], "splits": content["splits"]})
                findings.expect(name, "sha256", content["sha256"], expected)


def check_metadata(file: BundleFile, name: str, findings: Findings) -> None:
    """Make the RO-Crate metadata again, and compare; `name` is that of the study."""
    with findings.check(layout.CRATE, "RO-Crate 1.1 metadata names every file, dataset and distribution"):
        written = file.json(layout.CRATE)
        listed = {each: row["bytes"] for each, row in file.manifest["files"].items()}
        sizes = listed | {each: file.size(each) for each in file.names}
        sizes.pop(layout.CRATE, None)
        datasets = file.json(layout.SOURCES)["datasets"]
        software = software_of(file.json(layout.ENVIRONMENT))
        expected = make_crate(name, date_of(written), sizes, datasets, software)
        for problem in check_crate(written, parse_json(expected.encode(), layout.CRATE)):
            findings.add(layout.CRATE, problem)
