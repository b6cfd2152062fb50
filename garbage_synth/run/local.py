"""Map a picklable task over items, in this process or in a pool of fresh ones."""

import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from garbage_synth.errors import GarbageSynthError

__all__ = ["available_workers", "map_unordered", "spare_workers"]

WINDOW_PER_WORKER = 4  # items handed out ahead of the caller: keeps workers fed, keeps memory flat
_GRACE_S = 1.0  # for an interrupted item to clean up
_LOOK_S = 5.0

Item = TypeVar("Item")
Result = TypeVar("Result")

_worker_task: Callable[[Any], Any] | None = None
_worker_is_interruptible = False
_MOST_SPARE = 16


def available_workers() -> int:
    """The number of cores this process may run on (at least 1)."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def spare_workers(at_a_time: int) -> int:
    """Helper processes for each of so many that compute on a GPU: the cores but for two, shared, from 1 to 16."""
    return max(1, min(_MOST_SPARE, (available_workers() - 2) // at_a_time))


def map_unordered(
    task: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int,
    interruptible: bool = False,
    look: Callable[[], None] | None = None,
) -> Iterator[Result]:
    """task(item) of every item, in the order in which they get done.

    workers <= 1 works in this process, in the order of `items`. Otherwise `workers` spawned processes do: the task is
    pickled once per process, at most WINDOW_PER_WORKER items per worker are out at a time, and `items` is drawn lazily.
    Every worker, and the in-process loop while it runs, uses one OpenCV thread. Workers end with their parent, even
    where it is killed. Leaving the iteration early cancels what has not begun, and waits for what has.

    interruptible: for items that take too long to wait for. No more are out than there are workers, Ctrl-C raises
    KeyboardInterrupt in them too, and leaving the iteration early ends every worker within about a second.
    look: called in this process every few seconds while several workers are at work and none is done.

    With more than one worker a script must call this below `if __name__ == "__main__":` (spawned processes import it).

    Raises what the task raised, as the original exception; GarbageSynthError where a worker process died.
    """
    if workers <= 1:
        return _map_here(task, items)
    return _map_in_pool(task, items, workers, interruptible, look)


def _map_here(task: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    import cv2

    threads_before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        for item in items:
            yield task(item)
    finally:
        cv2.setNumThreads(threads_before)


def _map_in_pool(
    task: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    interruptible: bool,
    look: Callable[[], None] | None,
) -> Iterator[Result]:
    queue = iter(items)
    context = multiprocessing.get_context("spawn")
    # whose other end closes: unlike an Event, a worker that died cannot block it
    leash, held = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_prepare_worker, initargs=(task, leash if interruptible else None)
    )
    try:
        # the pool's own queue takes an item more than there are workers, and no cancelling gets it back
        first = list(itertools.islice(queue, workers * (1 if interruptible else WINDOW_PER_WORKER)))
        pending: set[Future[Any]] = {pool.submit(_call_task, item) for item in first}
        while pending:
            done, pending = wait(pending, timeout=_LOOK_S if look else None, return_when=FIRST_COMPLETED)
            if look and not done:
                look()
            for item in itertools.islice(queue, len(done)):
                pending.add(pool.submit(_call_task, item))
            for future in done:
                yield future.result()
    except BrokenProcessPool as error:
        raise GarbageSynthError(
            "a worker process died (killed, or out of memory); what it had finished is kept: "
            "run the same command with --resume, with fewer --workers"
        ) from error
    finally:
        held.close()
        pool.shutdown(wait=True, cancel_futures=True)
        leash.close()


def _prepare_worker(task: Callable[[Any], Any], leash: Connection | None) -> None:
    global _worker_task, _worker_is_interruptible
    import cv2

    # Ctrl-C reaches the whole group of processes: the parent ends the work, its workers print no tracebacks
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _worker_task, _worker_is_interruptible = task, leash is not None
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if leash is not None:
        threading.Thread(target=_end_when_let_go, args=(leash,), daemon=True).start()


def _end_with_parent() -> None:
    # A pool worker holds both ends of its queue, so that it would wait for ever after its parent was killed.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _end_when_let_go(leash: Connection) -> None:
    # What Ctrl-C did not reach: an item that was only just begun, or a signal to the parent alone.
    leash.poll(None)
    time.sleep(_GRACE_S)
    os._exit(1)


def _call_task(item: Any) -> Any:
    assert _worker_task is not None  # set by _prepare_worker before the first item
    if not _worker_is_interruptible:
        return _worker_task(item)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _worker_task(item)
    finally:
        signal.signal(signal.SIGINT, before)
