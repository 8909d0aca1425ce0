"""The store: artifacts found by key, written atomically, verified when read, shared by studies.

On disk::

    <root>/<kind>/<key>/record.json     what made it, what it cost, and the SHA-256 of every other file
    <root>/<kind>/<key>/…               the artifact's files
    <root>/.work/<kind>-<key>/          checkpoints of a task that hasn't finished
    <root>/.locks/<kind>-<key>          locked by the process that computes that artifact
    <root>/.locks/<kind>-<key>.claim    who that is, and its last sign of life

An artifact appears by one rename, so a half-written one is never visible. A claim ends with its process; where the file
system has no working locks, it ends when that gives no sign of life. Keys are SHA-256 of canonical JSON.
"""

from synthbench.store._claims import Claim, Holder, Sighting
from synthbench.store._disk import OTHER_STORE, disk_errors, remove_folder
from synthbench.store._file_systems import has_working_locks
from synthbench.store._keys import canonical, file_digest, folder_digest, key_of
from synthbench.store._records import RECORD, read_record, write_record
from synthbench.store._store import Artifact, Store, default_store_folder

__all__ = [
    "OTHER_STORE",
    "RECORD",
    "Artifact",
    "Claim",
    "Holder",
    "Sighting",
    "Store",
    "canonical",
    "default_store_folder",
    "disk_errors",
    "file_digest",
    "folder_digest",
    "has_working_locks",
    "key_of",
    "read_record",
    "remove_folder",
    "write_record",
]
