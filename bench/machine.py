"""The machine: its processors, what a process has used, and versions for the report."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")

TICKS: Final = os.sysconf("SC_CLK_TCK")

PROCESS_CLOCK: Final = 2
"""The kind of clock that counts the time that all threads of a process have run, ended threads included."""


def processors() -> tuple[int, int]:
    """Return the processors for the server and for the load, which are the same if there is only one."""
    numbers = sorted(os.sched_getaffinity(0))
    return numbers[0], numbers[-1]


def cpuSeconds(pid: int) -> float:
    """
    Return the CPU time that a process and its descendants have used, in seconds.

    That of a running process is what C{/proc/PID/task/*/schedstat} counts, in nanoseconds, read by a clock that
    includes threads that have ended (C{clock_getcpuclockid(3)}).  The kernel counts that of ended processes in ticks.
    """
    own = time.clock_gettime(~pid << 3 | PROCESS_CLOCK)
    fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    user, system = fields[13:15]  # Of proc(5)'s fields, the 16th and 17th.
    return own + (int(user) + int(system)) / TICKS + sum(map(cpuSeconds, _children(pid)))


def _children(pid: int) -> list[int]:
    lists = [path.read_text() for path in (PROC / str(pid) / "task").glob("*/children")]
    return [int(child) for children in lists for child in children.split()]


def residentBytes(pid: int) -> int:
    """Return the resident memory of a process, in bytes."""
    match = re.search(r"^VmRSS:\s*(\d+) kB$", (PROC / str(pid) / "status").read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1]) * 1024


def describe(pythons: dict[str, Path]) -> dict[str, str]:
    """
    Return the names and versions of what the results depend on.

    @param pythons: the interpreters of environments, by a name for each.
    """
    model = re.search(r"^model name\s*:\s*(.*)$", (PROC / "cpuinfo").read_text(), re.MULTILINE)
    described = {
        "Processor": f"{os.cpu_count()} x {model[1] if model else platform.machine()}",
        "Kernel": f"{platform.system()} {platform.release()}",
        "Other work": f"a load average of {os.getloadavg()[0]:.1f} before the run",
        "Date": time.strftime("%Y-%m-%d"),
    }
    return described | {name: versions(python) for name, python in pythons.items() if python.exists()}


VERSIONS: Final = """
import platform
from importlib.metadata import PackageNotFoundError, version
found = [f"{platform.python_implementation()} {platform.python_version()}"]
for name in ("Twisted", "uvloop", "aiohttp", "pyfingerd"):
    try:
        found.append(f"{name} {version(name)}")
    except PackageNotFoundError:
        pass
print(", ".join(found))
"""


def commit(checkout: Path) -> str:
    """Return the commit of a checkout, or that it is unknown; with a plus sign if files differ from it."""
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty=+", "--abbrev=7"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def versions(python: Path) -> str:
    """Return the versions of an interpreter and the packages that matter."""
    return subprocess.run([python, "-c", VERSIONS], capture_output=True, text=True, check=True).stdout.strip()
