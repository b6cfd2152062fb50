"""Reading, computing and writing at the same time, in order and with bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

__all__ = ["overlapped"]

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
Made = TypeVar("Made")


def overlapped(
    items: Iterable[Item],
    *,
    read: Callable[[Item], Loaded],
    work: Callable[[Loaded], Made],
    write: Callable[[Item, Made], None],
    read_threads: int = 2,
    write_threads: int = 2,
) -> Iterator[Item]:
    """Each item, in order, once it has been read, worked on and written.

    `work` runs in the calling thread, one item at a time, while threads read the next items and write the last ones;
    at most two items per thread wait on either side. An exception of any of the three ends the iteration with it, and
    what was being written then is still written.
    """
    coming = iter(items)
    with ThreadPoolExecutor(read_threads) as readers, ThreadPoolExecutor(write_threads) as writers:
        loading: deque[tuple[Item, Future[Loaded]]] = deque()
        writing: deque[tuple[Item, Future[None]]] = deque()
        try:
            loading.extend((item, readers.submit(read, item)) for item in islice(coming, 2 * read_threads))
            while loading:
                item, loaded = loading.popleft()
                made = work(loaded.result())
                loading.extend((following, readers.submit(read, following)) for following in islice(coming, 1))
                writing.append((item, writers.submit(write, item, made)))
                while writing and (writing[0][1].done() or len(writing) > 2 * write_threads):
                    written, done = writing.popleft()
                    done.result()
                    yield written
            for written, done in writing:
                done.result()
                yield written
        finally:
            for _, loaded in loading:
                loaded.cancel()
