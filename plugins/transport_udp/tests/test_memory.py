"""Too little memory for the shared packets is told with the settings."""

from __future__ import annotations

import errno

import pytest

from eurydice_core.errors import TransportError
from eurydice_transport_udp import process
from eurydice_transport_udp.process import _shared_memory
from eurydice_transport_udp.settings import Settings


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOMEM, "Cannot allocate")])
def test_too_little_memory_names_the_settings(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class Failing(process.Arena):
        def __init__(self, *_: object) -> None:
            raise error

    monkeypatch.setattr(process, "Arena", Failing)
    with pytest.raises(TransportError, match=r"lower \[transport\] buffer_packets or max_packet"):
        _shared_memory(0, 36, Settings())
