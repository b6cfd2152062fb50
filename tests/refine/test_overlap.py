import threading
import time
from collections.abc import Iterator

import pytest

from garbage_synth.refine.overlap import overlapped


def test_items_are_read_worked_on_and_written_in_order() -> None:
    written: dict[int, str] = {}
    done = list(
        overlapped(
            range(20),
            read=lambda n: n * 10,
            work=str,
            write=written.__setitem__,
            read_threads=3,
            write_threads=2,
        )
    )
    assert done == list(range(20))
    assert written == {n: str(n * 10) for n in range(20)}


def test_nothing_gives_nothing() -> None:
    assert list(overlapped([], read=str, work=str, write=lambda *_: None)) == []


def test_reading_and_writing_happen_beside_the_work_in_other_threads() -> None:
    threads: dict[str, set[int]] = {"read": set(), "work": set(), "write": set()}

    def note(kind: str, value: int) -> int:
        threads[kind].add(threading.get_ident())
        return value

    list(
        overlapped(
            range(6),
            read=lambda n: note("read", n),
            work=lambda n: note("work", n),
            write=lambda _, n: [note("write", n)].clear(),
        )
    )
    assert threads["work"] == {threading.get_ident()}
    assert threading.get_ident() not in threads["read"] | threads["write"]


def test_items_in_flight_are_bounded() -> None:
    taken, finished, most = 0, 0, 0

    def items() -> Iterator[int]:
        nonlocal taken
        for n in range(40):
            taken += 1
            yield n

    def write(_: int, made: int) -> None:
        nonlocal finished
        time.sleep(0.002)
        finished += 1

    for _ in overlapped(items(), read=int, work=int, write=write, read_threads=1, write_threads=1):
        most = max(most, taken - finished)
    assert finished == 40
    assert most <= 7


@pytest.mark.parametrize("place", ["read", "work", "write"])
def test_error_anywhere_ends_it_and_earlier_items_are_written(place: str) -> None:
    written: list[int] = []

    def step(kind: str, n: int) -> int:
        if kind == place and n == 5:
            raise ValueError(f"{kind} failed")
        return n

    def write(n: int, made: int) -> None:
        step("write", made)
        written.append(n)

    with pytest.raises(ValueError, match=f"{place} failed"):
        list(overlapped(range(40), read=lambda n: step("read", n), work=lambda n: step("work", n), write=write))
    assert set(range(5)) <= set(written)
    assert len(written) < 20
