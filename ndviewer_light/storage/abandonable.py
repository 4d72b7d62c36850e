"""Blocking calls in compiled code or in libraries, which cannot be interrupted, but need not be waited
for.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from ..errors import ReadDroppedError
from .cancellation import current_scope
from .program_end import abandonable_thread, is_ending

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .cancellation import CancelScope

T = TypeVar("T")

_TICK_SECONDS = 0.1


def run_abandonable(
    calls: Sequence[Callable[[], T]],
    check: Callable[[], object],
    discard: Callable[[T], object] | None = None,
) -> list[T]:
    """The results of `calls`, each made in a separate thread within this thread's `CancelScope`.

    `check` is called ten times a second and raises to stop waiting; the threads end when
    their calls do, and late results are passed to `discard`. The first error of a call is raised.
    """
    scope = current_scope()
    futures: list[Future[T]] = [Future() for _ in calls]
    for call, future in zip(calls, futures, strict=True):
        work = partial(_settle, call, future, scope)
        abandonable_thread(work, "ndviewer-blocking-call").start()
    try:
        while not _are_settled(futures):
            check()
            if is_ending():
                raise ReadDroppedError("the program is ending")
    except BaseException:
        for future in futures:
            future.add_done_callback(partial(_discard, discard))
        raise
    failed = next((future for future in futures if future.done() and future.exception()), None)
    if failed is not None:
        for future in futures:
            future.add_done_callback(partial(_discard, discard))
        failed.result()
    return [future.result() for future in futures]


def _are_settled(futures: Sequence[Future[T]]) -> bool:
    done, others = wait(futures, _TICK_SECONDS, FIRST_EXCEPTION)
    return not others or any(future.exception() for future in done)


def _settle(call: Callable[[], T], future: Future[T], scope: CancelScope | None) -> None:
    try:
        with scope or contextlib.nullcontext():
            result = call()
    except BaseException as error:  # noqa: BLE001  whoever waits gets it
        future.set_exception(error)
    else:
        future.set_result(result)


def _discard(discard: Callable[[T], object] | None, future: Future[T]) -> None:
    if discard is not None and not future.exception():
        discard(future.result())
