"""Two hosts that share a folder: network namespaces with a name each, joined by a cable."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from synthbench.results import load_results

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("unshare") is None,
        reason="needs root, ip and unshare, for hosts as namespaces",
    ),
]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@dataclass
class Hosts:
    """Two hosts; `within` is what runs a command in one of them."""

    names: tuple[str, str]
    addresses: tuple[str, str] = ("10.77.77.1", "10.77.77.2")
    processes: list = field(default_factory=list)

    def within(self, number: int, before: str = "true") -> list[str]:
        script = f'hostname {self.names[number]}; {before}; exec "$@"'
        return ["ip", "netns", "exec", self.names[number], "unshare", "--uts", "--mount", "sh", "-c", script, "-"]

    def start(self, trial, number: int, *words: object, before: str = "true") -> None:
        command = [*self.within(number, before), sys.executable, "-m", *map(str, words)]
        log = (trial.folder / f"host-{len(self.processes)}.log").open("wb")
        self.processes.append(
            subprocess.Popen(command, cwd=trial.folder, env=trial.environment(), stdout=log, stderr=log)
        )


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    made = Hosts((f"sba{os.getpid()}", f"sbb{os.getpid()}"))
    try:
        for name in made.names:
            ip("netns", "add", name)
        one, two = made.names
        ip("link", "add", "veth0", "netns", one, "type", "veth", "peer", "name", "veth0", "netns", two)
        for name, address in zip(made.names, made.addresses, strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "veth0")
            for device in ("veth0", "lo"):
                ip("-n", name, "link", "set", device, "up")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
    yield made
    for process in made.processes[::-1]:
        process.kill()
        process.wait()
    for name in made.names:
        subprocess.run(["ip", "netns", "del", name], check=False)


def test_a_study_runs_on_both_and_a_host_without_the_store_is_refused_by_name(trial, hosts) -> None:
    trial.store.mkdir(parents=True)
    address = f"tcp://{hosts.addresses[0]}:8786"
    hosts.start(trial, 0, "distributed.cli.dask_scheduler", "--host", hosts.addresses[0], "--no-dashboard")
    common = ("distributed.cli.dask_worker", address, "--nthreads", 1, "--no-dashboard", "--local-directory", "/tmp")
    hosts.start(trial, 0, *common, "--name", "near")
    hosts.start(trial, 1, *common, "--name", "far")
    hosts.start(trial, 1, *common, "--name", "blind", before=f"mount -t tmpfs none {trial.store}")
    study = trial.study(segmenters=[{"name": "threshold", "config": {"seconds": 1.0}}], seeds=4)
    command = [*hosts.within(0), *trial.command("run", study, "--engine", "dask", "--scheduler", address)]
    done = subprocess.run(
        command, cwd=trial.folder, env=trial.environment(), capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    refused = [line for line in done.stderr.splitlines() if "refused" in line]
    assert len(refused) == 1
    assert hosts.names[1] in refused[0]
    assert hosts.addresses[1] in refused[0]
    assert str(trial.store) in refused[0]
    results = load_results(trial.folder / "runs" / "trial")
    assert set(results.runs["status"]) == {"ok"}
