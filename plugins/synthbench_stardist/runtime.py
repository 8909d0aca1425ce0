"""TensorFlow: imported without chatter, on the device and with the threads of a task."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any


@cache
def tensorflow() -> ModuleType:
    """Import TensorFlow; what its libraries write to stderr meanwhile is shown only if the import fails.

    Triton, which torch imports when it first needs it, comes before: both carry an LLVM of their own, and Triton's
    ends the process when it finds TensorFlow's options taken.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("STARDIST_EDT_NUM_THREADS", "1")  # for a patch, starting four takes longer than one computes
    if "tensorflow" not in sys.modules:
        with contextlib.suppress(ImportError):
            importlib.import_module("triton")
    with held_stderr():
        import tensorflow as tf
    tf.get_logger().setLevel("ERROR")
    module: ModuleType = tf
    return module


def start(device: str, threads: int) -> contextlib.AbstractContextManager[Any]:
    """Prepare TensorFlow for one task.

    Operations are deterministic. Threads and visible GPUs can be set only before TensorFlow's first computation in a
    process: later tasks of the same process keep the first one's, and are still placed on their own device.

    Parameters
    ----------
    device
        ``"cpu"`` hides the GPUs; ``"cuda"`` and ``"cuda:n"`` use one, taking its memory as needed, not all at once.
        Where TensorFlow sees no GPU (its CUDA libraries are an extra of their own), it warns and uses the CPU.
    threads
        CPU threads.

    Returns
    -------
    context manager
        Whatever is computed inside it runs on the device.
    """
    tf = tensorflow()
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(max(1, threads))
        tf.config.threading.set_inter_op_parallelism_threads(1)
    with contextlib.suppress(RuntimeError):
        if device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        for gpu in tf.config.get_visible_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_op_determinism()
    place: contextlib.AbstractContextManager[Any] = tf.device(
        device_name(device, len(tf.config.list_logical_devices("GPU")))
    )
    return place


def device_name(device: str, gpus: int) -> str:
    """Return TensorFlow's name of a device."""
    if device == "cpu":
        return "/CPU:0"
    number = int(device.partition(":")[2] or 0)
    if number < gpus:
        return f"/GPU:{number}"
    warnings.warn(
        f"TensorFlow sees {gpus} GPUs, so {device!r} can't be used and StarDist runs on the CPU; "
        "pip install 'tensorflow[and-cuda]' brings what it needs",
        stacklevel=3,
    )
    return "/CPU:0"


@contextlib.contextmanager
def held_stderr() -> Iterator[None]:
    """Keep what C++ writes to file descriptor 2 in a file; give it out if the body raises."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
