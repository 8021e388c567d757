"""What Linux tells about a process: its memory, its threads, its CPU time."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

_INTERVAL = 0.005


@attrs.frozen
class Status:
    """One look at ``/proc/PID/status``; sizes in bytes.

    Attributes:
        resident: Resident memory of any kind.
        peak: The most that was ever resident, since it was reset.
        anonymous: Resident memory that no file stands behind.
        threads: Threads.
    """

    resident: int
    peak: int
    anonymous: int
    threads: int


def look(pid: int | str = "self") -> Status:
    """What the process is like now."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    fields: Mapping[str, str] = {key: value for key, _, value in (line.partition(":") for line in lines)}
    resident, peak, anonymous = (
        int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM", "RssAnon")
    )
    return Status(resident, peak, anonymous, int(fields["Threads"]))


def forget_peak(pid: int | str = "self") -> None:
    """Let ``Status.peak`` of the process begin anew (proc(5), ``clear_refs``)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="utf-8")


def cpu_seconds() -> float:
    """The CPU time of this process, user and system."""
    times = os.times()
    return times.user + times.system


def cpu_seconds_of(pid: int) -> float:
    """The CPU time of another process, user and system, to a hundredth of a second (proc(5), ``stat``)."""
    # What is in front is the program's name, in which anything may be.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    user, system = (int(fields[number]) for number in (11, 12))
    return (user + system) / os.sysconf("SC_CLK_TCK")


class Watch:
    """Looks at another process every few milliseconds until it is left.

    Args:
        pid: The process.

    Attributes:
        anonymous: The most anonymous memory seen.
        threads: The most threads seen.
    """

    def __init__(self, pid: int) -> None:
        self.anonymous = 0
        self.threads = 0
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                status = look(self._pid)
            except (OSError, KeyError):
                return
            self.anonymous = max(self.anonymous, status.anonymous)
            self.threads = max(self.threads, status.threads)
            time.sleep(_INTERVAL)


# Installed packages are compiled once, when they are installed. From a checkout nothing does that but Python
# itself, the first time it imports a module; told not to, it would compile this package again at every start.
_COMPILED_EVERY_TIME = "PYTHONDONTWRITEBYTECODE"


def plain_environment() -> dict[str, str]:
    """This process's environment without anything that would configure a client."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_")
        and not name.lower().endswith("_proxy")
        and "CA_BUNDLE" not in name
        and name != _COMPILED_EVERY_TIME
    }
    # Files that are not there, rather than empty ones: who looks for them first has less to do then.
    nowhere = f"{os.devnull}.absent"
    return kept | {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": nowhere,
        "AWS_SHARED_CREDENTIALS_FILE": nowhere,
    }
