"""
Numbers of this process for Prometheus: its memory, its time, its file descriptors.

prometheus-client's collector reads from C{/proc/stat} when the machine was started, and has no numbers at all if
there is no such file, as with systemd's C{ProcSubset=pid}.  Only its private method C{_boot_time} can be overridden
to change that.  Upstream: no ticket found.
"""

from __future__ import annotations

import time
from typing import Any

from prometheus_client import ProcessCollector


class AnyProcessCollector(ProcessCollector):
    """A collector that also works where C{/proc} has nothing but processes."""

    def _boot_time(self) -> Any:
        try:
            return super()._boot_time()
        except OSError:
            return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
