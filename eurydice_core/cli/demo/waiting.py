"""Waits of the demo: they end with the condition, or after long without any progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from eurydice_core.cli.demo.display import Display
from eurydice_core.model.quantities import format_duration

__all__ = ["PROGRESS_SECONDS", "Patience", "Waits"]

PROGRESS_SECONDS: Final = 600.0
"""A wait fails after this long without progress: far more than a slow machine needs."""
LOOK_EVERY: Final = 0.2  # seconds
FIRST_LINE_SECONDS: Final = 5.0
"""Where no spinner can be shown, a line says what is waited for after this long, and again
each time that twice as long has passed."""

Result = TypeVar("Result")


class Patience:
    """Measures how long nothing has changed, and shows for what is waited.

    Args:
        what: completes "waiting for ...".
        show: is given the text to show, and whether it is due as a line as well.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        what: str,
        show: Callable[[str, bool], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._show = show
        self._clock = clock
        self._began = self._moved_at = clock()
        self._state: object = None
        self._line_after = FIRST_LINE_SECONDS

    def see(self, state: object) -> float:
        """Compare the state with the one before; return the seconds since it last changed."""
        now = self._clock()
        if state != self._state:
            self._state, self._moved_at = state, now
            self._line_after = FIRST_LINE_SECONDS
        still = now - self._moved_at
        is_due = still >= self._line_after
        if is_due:
            self._line_after = 2 * still
        self._show(f"waiting for {self._what} ({now - self._began:.0f} s)", is_due)
        return still


class Waits:
    """Waits for conditions, one after the other."""

    def __init__(
        self,
        display: Display,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._display = display
        self._sleep = sleep
        self.clock = clock

    @contextmanager
    def patience(self, what: str) -> Iterator[Patience]:
        """Show for what is waited while the block lasts."""
        with self._display.waiting(what) as show:
            yield Patience(what, show, self.clock)

    def until(
        self,
        what: str,
        look: Callable[[], tuple[Result | None, object]],
        failure: Callable[[str], Exception],
        *,
        limit: float = PROGRESS_SECONDS,
    ) -> Result:
        """Call `look` until it returns a result, and return that.

        Args:
            what: completes "waiting for ...".
            look: returns the result, None if there is none yet, and a state: as long as
                that changes there is progress. Raises if the result can never be.
            failure: makes the exception from its message.
            limit: seconds without progress after which the wait fails.
        """
        with self.patience(what) as patience:
            while True:
                result, state = look()
                if result is not None:
                    return result
                if patience.see(state) > limit:
                    seen = "" if state is None else f" (last: {state})"
                    raise failure(
                        f"waited for {what}, and nothing changed for {format_duration(limit)}{seen}"
                    )
                self._sleep(LOOK_EVERY)
