"""
Process metrics for Prometheus: memory, CPU time, file descriptors.

prometheus-client's collector reads the boot time from C{/proc/stat}, and has no metrics at all if that file is
missing, as with systemd's C{ProcSubset=pid}.  The only way to change that is to override its private method
C{_boot_time}.  Upstream: no ticket found.
"""

from __future__ import annotations

import time
from typing import Any

from prometheus_client import ProcessCollector


class AnyProcessCollector(ProcessCollector):
    """A collector that also works if C{/proc} contains only processes."""

    def _boot_time(self) -> Any:
        try:
            return super()._boot_time()
        except OSError:
            return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
