"""What every conformance kit shares."""

from __future__ import annotations

from typing import Any

import pytest

__all__ = ["ConformanceKit"]


class ConformanceKit:
    """A class of tests to inherit from; an obligation cannot be dropped silently."""

    def test_no_inherited_test_is_overridden_without_a_reason(self) -> None:
        """An override hides an obligation, unless it is marked `xfail(reason=...)`."""
        hidden = [
            name
            for name, test in _own_tests(type(self)).items()
            if _is_inherited(type(self), name) and not _is_excused(test)
        ]
        assert not hidden, f"overridden without xfail(reason=...): {', '.join(hidden)}"


def _own_tests(kit: type) -> dict[str, Any]:
    """Return the tests written in subclasses of a kit, not in the kits themselves."""
    return {
        name: test
        for cls in reversed(kit.__mro__)
        if not _is_a_kit(cls)
        for name, test in vars(cls).items()
        if name.startswith("test")
    }


def _is_inherited(kit: type, name: str) -> bool:
    return any(name in vars(cls) for cls in kit.__mro__ if _is_a_kit(cls))


def _is_a_kit(cls: type) -> bool:
    return cls.__module__.startswith("eurydice_core.testing.") or cls is object


def _is_excused(test: Any) -> bool:
    marks: list[pytest.Mark] = getattr(test, "pytestmark", [])
    return any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)
