"""The engine: submits tasks to Dask, which runs each when what it needs is there, and again when its worker dies."""

from __future__ import annotations

import contextlib
import json
import math
import queue
import time
import uuid
from collections.abc import Iterator
from typing import Any

from distributed import Future

from synthbench.engine import Engine, Event, Options, Outcome
from synthbench.engine.messages import read_answer, task_message
from synthbench.engine.peers import Probe
from synthbench.errors import ConfigError, SynthbenchError
from synthbench.processes.signals import defer_signals
from synthbench.store import Store
from synthbench_dask.admission import Admission, Member
from synthbench_dask.config import DaskConfig
from synthbench_dask.connection import Connection
from synthbench_dask.on_worker import VISIBLE_WITHIN, run_job
from synthbench_dask.resources import asked
from synthbench_dask.submitted import Submitted, failure, priority, put_aside

__all__ = ["DaskEngine"]

AHEAD = 4
"""Tasks beyond those that can run at once which Dask is given, so that no worker waits for the next one."""

PATIENCE = 15.0
"""Seconds without any worker after which a message says that the run waits for one."""


class DaskEngine(Engine[DaskConfig]):
    """Runs tasks on the workers of a Dask cluster that see the same store."""

    Config = DaskConfig
    takes_early = True

    @classmethod
    def runs_elsewhere(cls, config: DaskConfig) -> bool:
        return config.scheduler is not None or config.cluster is not None

    def __init__(self, options: Options, config: DaskConfig) -> None:
        super().__init__(options, config)
        self._store = Store(options.store)
        self._run = f"synthbench-{uuid.uuid4().hex[:12]}"
        self._submitted: dict[str, Submitted] = {}
        self._kinds: dict[str, str] = {}
        self._not_stored: set[str] = set()
        self._heard: queue.SimpleQueue[Event | Future[Any]] = queue.SimpleQueue()
        self._messages: list[Event | Outcome] = []
        self._count = 0
        self._closed = False
        self._alone_since = self._away_since = 0.0
        self._probe = Probe(self._store)
        try:
            self._connection = Connection(options, config)
            self._client = self._connection.client
            self._admission = Admission(self._client, self._run, self._probe, options)
            if link := self._connection.dashboard:
                self._say(f"dashboard: {link}")
            self._client.subscribe_topic(self._run, self._hear)
            count = 0 if self.runs_elsewhere(config) else self._connection.expected_workers or 0
            self._welcome(self._admission.wait(count, max(60.0, config.timeout)))
            self._check_members()
        except BaseException:
            self.close()
            raise

    @property
    def slots(self) -> int:
        there = sum(member.slots for member in self._admission.members)
        return max(there, self._connection.expected_workers or 1)

    def free(self) -> int:
        return max(0, self.slots + max(AHEAD, self.slots) - len(self._submitted))

    @defer_signals()
    def start(self, task: Any) -> None:
        with self._connected():
            self._submit(task)

    def _submit(self, task: Any) -> None:
        self._count += 1
        before = [need for need in task.needs if need in self._submitted]
        on_gpu = task.content.get("compute", {}).get("device") == "cuda"
        memory = None if self.estimates is None else self.estimates.peak_memory_mb(task)
        future = self._client.submit(
            run_job,
            self._run,
            json.dumps(task_message(task, self.options)),
            on_gpu,
            [(self._kinds[need], need) for need in task.needs if need in self._kinds],
            [self._submitted[need].future for need in before],
            key=f"{task.kind}-{task.key}-{self._run}-{self._count}",
            resources=asked(self._run, on_gpu, memory, [member.memory_mb for member in self._admission.members]),
            priority=priority(task),
            pure=False,
        )
        self._kinds[task.key] = task.kind
        self._not_stored.discard(task.key)
        self._submitted[task.key] = Submitted(task, future, on_gpu)
        future.add_done_callback(self._heard.put)

    def wait(self, seconds: float) -> list[Event | Outcome]:
        with defer_signals(), self._connected():  # a signal is raised at the end: messages are kept for `close`
            self._collect(seconds)
            self._welcome(self._admission.look())
            self._check_jobs()
            self._check_members()
            self._submit_again()
            self._check_connection()
        return self._take_messages()

    @defer_signals()
    def close(self, grace: float = 0.0) -> list[Event | Outcome]:
        if self._closed:
            return []
        self._closed = True
        connection = getattr(self, "_connection", None)
        admission = getattr(self, "_admission", None)
        if connection is not None and admission is not None:
            connected = self._client.status == "running"
            if connected:
                self._stop_tasks(admission, grace)
                admission.leave(5.0)
            connection.close()
        self._probe.remove()
        return self._take_messages()

    def _stop_tasks(self, admission: Admission, grace: float) -> None:
        """Have running tasks stop, and wait for what they say."""
        if not self._submitted:
            return
        admission.stop(5.0)
        waiting = [key for key, each in self._submitted.items() if not each.stage]
        self._client.cancel([self._submitted.pop(key).future for key in waiting], force=True)
        deadline = time.monotonic() + grace
        while self._submitted and time.monotonic() < deadline:
            self._collect(0.1)
        for key, each in self._submitted.items():
            self._messages.append(Outcome(key, "stopped", each.stage, "stopped before it could leave a checkpoint"))
        self._client.cancel([each.future for each in self._submitted.values()], force=True)
        self._submitted.clear()

    def _hear(self, event: tuple[float, str]) -> None:
        """Take what a running task reports; called by Dask's own thread."""
        answer = read_answer(json.loads(event[1]))
        if isinstance(answer, Event):
            self._heard.put(answer)

    def _collect(self, seconds: float) -> None:
        """Take what has come; wait for something at most this long."""
        ended: list[Future[Any]] = []
        hidden = any(each.outcome is not None for each in self._submitted.values())
        try:
            heard = self._heard.get(timeout=min(seconds, 0.1) if hidden else seconds)
            while True:
                if isinstance(heard, Event):
                    if (running := self._submitted.get(heard.key)) is not None:
                        running.stage = heard.stage
                        self._messages.append(heard)
                else:
                    ended.append(heard)
                heard = self._heard.get_nowait()
        except queue.Empty:
            pass
        if ended:
            self._take_results(ended)
        for each in [each for each in self._submitted.values() if each.outcome is not None]:
            self._show(each)

    def _take_results(self, ended: list[Future[Any]]) -> None:
        futures = {future.key: each for each in self._submitted.values() for future in [each.future]}
        finished = [future for future in ended if future.key in futures and future.status == "finished"]
        results: list[str] = self._client.gather(finished, errors="skip") if finished else []
        came = {
            outcome.key: outcome for text in results if isinstance(outcome := read_answer(json.loads(text)), Outcome)
        }
        for future in ended:
            each = futures.get(future.key)
            if each is None:
                continue
            key = each.task.key
            if key in came:
                each.outcome, each.hidden_since = came[key], time.monotonic()
            elif future.status == "error":
                each.outcome = failure(key, future)
            elif future.status in ("cancelled", "lost") and not self._closed:
                raise self._lost()
            else:  # its worker died before the result came: Dask runs it again
                future.add_done_callback(self._heard.put)

    def _show(self, each: Submitted) -> None:
        """Pass on an outcome, once what it stored can be seen here."""
        outcome = each.outcome
        assert outcome is not None
        if outcome.ok and self._store.find(each.task.kind, outcome.key) is None:
            if time.monotonic() - each.hidden_since < VISIBLE_WITHIN and not self._closed:
                return
            reason = f"was stored by its worker, but can't be seen in {self._store.root} here; do they share it?"
            outcome = Outcome(outcome.key, "failed", "store", reason)
        self._messages.append(outcome)
        del self._submitted[outcome.key]
        if not outcome.ok:
            self._not_stored.add(outcome.key)

    def _welcome(self, new: list[Member]) -> None:
        for member in new:
            if member.problem:
                self._say(f"the worker on {member.host} ({member.address}) is refused: {member.problem}")

    def _check_jobs(self) -> None:
        """Pass on why jobs aren't taken; raise `ConfigError` if there is no worker without them."""
        refusals = list(dict.fromkeys(self._connection.refusals))
        self._connection.refusals.clear()
        for text in refusals:
            if not self._admission.members:
                raise ConfigError(f"{self._connection.where} takes no job: {text}")
            self._say(f"{self._connection.where} takes no job: {text}")

    def _check_members(self) -> None:
        """Raise `ConfigError` if all workers are refused, or none has what the study needs."""
        members, refused = self._admission.members, self._admission.refused
        if not members and refused:
            first = refused[0]
            raise ConfigError(
                f"{self._connection.where}: all {len(refused)} worker(s) are refused; on {first.host} "
                f"({first.address}): {first.problem}"
            )
        if members and self.options.device.startswith("cuda") and not any(member.gpus for member in members):
            hosts = ", ".join(sorted({member.host for member in members})[:5])
            raise ConfigError(
                f"--device {self.options.device}: no worker offers a GPU ({hosts}); start workers with "
                "--resources GPU=1, or give --device cpu"
            )
        if members:
            self._alone_since = 0.0
        elif not self._alone_since:
            self._alone_since = time.monotonic()
        elif 0 < self._alone_since < time.monotonic() - PATIENCE:
            self._alone_since = math.inf
            self._say(f"{self._connection.where} has no worker yet; waiting for one")

    def _submit_again(self) -> None:
        """Submit anew what could run, and Dask has put aside: it doesn't look again when a worker was let in since."""
        processing, self._admission.processing = self._admission.processing, None
        members = self._admission.members
        if processing is None or not members:
            return
        again = put_aside(self._submitted, processing, any(member.gpus for member in members))
        if again:
            self._client.cancel([each.future for each in again.values()], force=True)
            for key in again:
                del self._submitted[key]
        for key, each in again.items():
            if self._not_stored.isdisjoint(each.task.needs):
                self._submit(each.task)
            else:  # it would come back like this
                self._messages.append(Outcome(key, "early"))
                self._not_stored.add(key)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[None]:
        """Within, what Dask raises because its scheduler is away becomes one line."""
        try:
            yield
        except SynthbenchError:
            raise
        except Exception as error:
            if isinstance(error, OSError) or self._client.status != "running":
                raise self._lost() from None
            raise

    def _check_connection(self) -> None:
        if self._client.status == "running":
            self._away_since = 0.0
            return
        self._away_since = self._away_since or time.monotonic()
        if self._client.status == "closed" or time.monotonic() - self._away_since > self.config.timeout:
            raise self._lost()

    def _lost(self) -> SynthbenchError:
        return SynthbenchError(
            f"{self._connection.where} is gone; what is finished is stored, and the same command resumes"
        )

    def _say(self, text: str) -> None:
        self._messages.append(Event("", "dask", message=text))

    def _take_messages(self) -> list[Event | Outcome]:
        messages, self._messages = self._messages, []
        return messages
