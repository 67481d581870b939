"""Time, hardware and energy of an attempt, kept in a small file while it runs, so that a kill loses little of it."""

import contextlib
import os
import platform
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.core.files import write_json

SECONDS = 10.0
"""From one look at the counters to the next: RAPL's begin again at 0 after a minute at the earliest."""
POWERCAP = Path("/sys/class/powercap")
"""Where Linux has RAPL's counters, which root alone may read on most systems."""


class UsageMeter:
    """Watches the clock and the energy counters of this machine from a thread, until `stop`."""

    def __init__(self, path: Path | None, nodes: int | None = None, powercap: Path = POWERCAP) -> None:
        """Begins to measure.

        Args:
            path: file that takes what was used; None measures nothing, as on ranks other than 0.
            nodes: machines that the attempt runs on.
            powercap: folder of RAPL's counters.
        """
        self._path = path
        self._nodes = nodes
        self._began = time.monotonic()
        self._lock = threading.Lock()
        if path is None:
            return
        gpus = _Gpus()
        self._hardware = ", ".join([*gpus.names, processor_name()])
        self._accelerators = _Counters(gpus.joules)
        self._processors = _Counters(lambda: _rapl_joules(powercap), _rapl_ranges(powercap))
        self._over = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        """Writes the last numbers and ends the thread."""
        if self._path is not None:
            self._over.set()
            self._look()

    def _watch(self) -> None:
        self._look()
        while not self._over.wait(SECONDS):
            self._look()

    def _look(self) -> None:
        assert self._path is not None
        # What was used is not worth a stage, such as on a full disk.
        with self._lock, contextlib.suppress(OSError):
            write_json(
                self._path,
                {
                    "seconds": time.monotonic() - self._began,
                    "accelerator_joules": self._accelerators.used(),
                    "processor_joules": self._processors.used(),
                    "hardware": self._hardware,
                    "nodes": self._nodes,
                },
            )


class _Counters:
    """Counters of joules that only grow, or begin again at 0 after their range."""

    def __init__(self, read: Callable[[], dict[str, float]], ranges: dict[str, float] | None = None) -> None:
        self._read, self._ranges = read, ranges or {}
        self._last = read()
        self._used = 0.0

    def used(self) -> float | None:
        """Joules since the beginning; None if there is no counter, or one was lost on the way."""
        now = self._read()
        if not self._last or now.keys() != self._last.keys():
            self._last = {}
            return None
        for name, value in now.items():
            passed = value - self._last[name]
            self._used += passed if passed >= 0 else passed + self._ranges.get(name, 0.0)
        self._last = now
        return self._used


class _Gpus:
    """The GPUs that this process may use, by NVML, if the package nvidia-ml-py is installed and finds a driver."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._handles: list[Any] = []
        try:
            import pynvml  # pyright: ignore[reportMissingImports]

            pynvml.nvmlInit()
            self._nvml = pynvml
            self._handles = self._visible()
            names = [pynvml.nvmlDeviceGetName(handle) for handle in self._handles]
        except Exception:
            # No package, no driver, or a device that is not told about: nothing is known then.
            self._handles = []
            return
        self.names = [f"{names.count(name)} x {name}" for name in dict.fromkeys(names)]

    def _visible(self) -> list[Any]:
        chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
        if chosen is None:
            return [self._nvml.nvmlDeviceGetHandleByIndex(n) for n in range(self._nvml.nvmlDeviceGetCount())]
        return [
            self._nvml.nvmlDeviceGetHandleByIndex(int(each))
            if each.isdigit()
            else self._nvml.nvmlDeviceGetHandleByUUID(each)
            for each in map(str.strip, chosen.split(","))
            if each and each != "-1"
        ]

    def joules(self) -> dict[str, float]:
        """Each GPU's energy since its driver was loaded; empty if one does not count it (before Volta)."""
        try:
            return {
                str(number): self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000
                for number, handle in enumerate(self._handles)
            }
        except Exception:
            return {}


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processors that this process may use, such as "2 x AMD EPYC 9R14"."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    name = platform.machine()
    with contextlib.suppress(OSError):
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{count} x {name}"


def _packages(powercap: Path) -> list[Path]:
    """RAPL's folders of whole processor packages; what is inside them, such as cores, has folders of its own."""
    return sorted(path for path in powercap.glob("intel-rapl:*") if path.name.count(":") == 1)


def _rapl_joules(powercap: Path) -> dict[str, float]:
    try:
        return {path.name: int((path / "energy_uj").read_text()) / 1e6 for path in _packages(powercap)}
    except (OSError, ValueError):
        return {}


def _rapl_ranges(powercap: Path) -> dict[str, float]:
    try:
        return {path.name: int((path / "max_energy_range_uj").read_text()) / 1e6 for path in _packages(powercap)}
    except (OSError, ValueError):
        return {}
