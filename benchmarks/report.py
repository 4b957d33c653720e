"""What every benchmark says of itself: on which machine, and what it measured."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "processors": os.cpu_count(),
        "model": model[1] if model else platform.machine(),
        "kernel": platform.release(),
    }


def write_report(file: Path | None, rows: Sequence[dict[str, Any]]) -> None:
    """Write figures as JSON, if that was asked for."""
    if file is not None:
        report = {"machine": machine(), "rows": rows}
        file.write_text(json.dumps(report, indent=2) + "\n")
