"""An emulated diode: a UDP relay that loses, mixes and damages, the same way every time.

    faults = Faults(loss=0.03, burst_bytes=2_000_000, seed=7)
    with diode_process(listen=("127.0.0.1", 7400), forward=("127.0.0.1", 7401), faults=faults):
        ...  # the origin sends to port 7400, the destination listens on 7401

`EmulatedDiode` is the same in this process: one `step()` at a time, or in a thread.
"""

from __future__ import annotations

from eurydice_core.testing.diode.faults import Fault, Faults, Incident
from eurydice_core.testing.diode.passage import Passage
from eurydice_core.testing.diode.process import DiodeProcess, diode_process
from eurydice_core.testing.diode.relay import EmulatedDiode
from eurydice_core.testing.diode.trace import Trace

__all__ = [
    "DiodeProcess",
    "EmulatedDiode",
    "Fault",
    "Faults",
    "Incident",
    "Passage",
    "Trace",
    "diode_process",
]
