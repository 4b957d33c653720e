from __future__ import annotations

import asyncio
import threading

import pytest

from eurydice_core.api.threads import Threads


@pytest.fixture
def threads():
    threads = Threads()
    yield threads
    threads.close()


def test_a_call_runs_in_another_thread_and_its_result_comes_back(threads):
    async def calls():
        return [
            await threads.run(threading.get_ident),
            await threads.run_hashing("", threading.get_ident),
        ]

    assert threading.get_ident() not in asyncio.run(calls())


def test_what_a_call_raises_comes_back(threads):
    with pytest.raises(ZeroDivisionError):
        asyncio.run(threads.run(divmod, 1, 0))


def test_a_cancelled_request_waits_until_its_call_has_ended(threads):
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def call():
        begun.set()
        go_on.wait()
        ended.set()

    async def cancelled():
        task = asyncio.create_task(threads.run(call))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    asyncio.run(cancelled())
