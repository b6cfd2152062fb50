"""Mapping a task in this process and in a pool."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from garbage_synth.errors import GarbageSynthError, InputError
from garbage_synth.run import local
from garbage_synth.run.local import WINDOW_PER_WORKER, available_workers, map_unordered


def square(number: int) -> int:
    return number * number


def slow(number: int) -> int:
    time.sleep(0.6)
    return number


def refuse(number: int) -> int:
    if number == 3:
        raise InputError("crop can/3.png is damaged")
    return number


def die(number: int) -> int:
    os._exit(9)


def threads(_: int) -> int:
    return int(cv2.getNumThreads())


class Draws:
    """Items that remember how many were drawn."""

    def __init__(self) -> None:
        self.count = 0

    def __iter__(self) -> Iterator[int]:
        for number in range(200):
            self.count += 1
            yield number


def test_map_in_process_keeps_the_order_and_is_lazy() -> None:
    items = Draws()
    results = map_unordered(square, items, workers=1)
    assert items.count == 0
    assert [next(results), next(results), next(results)] == [0, 1, 4]
    assert items.count == 3


def test_map_of_nothing_is_nothing() -> None:
    assert list(map_unordered(square, [], workers=0)) == []
    assert list(map_unordered(square, [], workers=2)) == []


def test_pool_gives_every_result_with_a_bounded_window() -> None:
    items = Draws()
    results = map_unordered(square, items, workers=2)
    found = [next(results)]
    assert items.count <= 2 * WINDOW_PER_WORKER * 2
    found += list(results)
    assert sorted(found) == [number * number for number in range(200)]


def test_while_workers_are_busy_somebody_may_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_LOOK_S", 0.05)
    looks: list[int] = []
    assert sorted(map_unordered(slow, range(2), workers=2, look=lambda: looks.append(1))) == [0, 1]
    assert len(looks) > 5
    looks.clear()
    assert list(map_unordered(square, range(2), workers=1, look=lambda: looks.append(1))) == [0, 1]
    assert looks == []


def test_task_errors_come_back_as_they_were() -> None:
    for workers in (1, 2):
        with pytest.raises(InputError, match=r"can/3\.png is damaged"):
            list(map_unordered(refuse, range(8), workers=workers))


def test_dead_worker_is_an_error_with_the_next_step() -> None:
    with pytest.raises(GarbageSynthError, match="--resume"):
        list(map_unordered(die, range(4), workers=2))


def test_every_worker_uses_one_opencv_thread() -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        assert set(map_unordered(threads, range(3), workers=1)) == {1}
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)
    assert set(map_unordered(threads, range(4), workers=2)) == {1}


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "from garbage_synth.run.local import map_unordered\n"
        "def task(number):\n"
        "    Path(sys.argv[1], str(os.getpid())).touch()\n"
        "    time.sleep(0.05)\n"
        "if __name__ == '__main__':\n"
        "    for done, _ in enumerate(map_unordered(task, range(10000), workers=2)):\n"
        "        if done == 20:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n",
        encoding="utf-8",
    )
    pids = tmp_path / "pids"
    pids.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    finished = subprocess.run([sys.executable, str(script), str(pids)], env=environment, capture_output=True)
    assert finished.returncode == -9
    workers = [int(path.name) for path in pids.iterdir()]
    assert workers
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and any(Path(f"/proc/{pid}").exists() and not _zombie(pid) for pid in workers):
        time.sleep(0.1)
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists() and not _zombie(pid)]


def test_an_interrupted_pool_ends_without_tracebacks_of_its_workers(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from garbage_synth.run.local import map_unordered\n"
        "def task(number):\n"
        "    Path(sys.argv[1], str(os.getpid())).touch()\n"
        "    time.sleep(0.05)\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        "        for _ in map_unordered(task, range(100), workers=2):\n"
        "            for _ in range(600):  # short: the signal may come to a thread that is not the one asleep\n"
        "                time.sleep(0.1)\n"
        "    except KeyboardInterrupt:\n"
        "        sys.exit(130)\n",
        encoding="utf-8",
    )
    pids = tmp_path / "pids"
    pids.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, str(script), str(pids)]
    child = subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # tests that a shell runs in the background have the signal ignored, and their children too
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while len(list(pids.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)  # until the workers have done what they were given and wait for more
    os.killpg(child.pid, signal.SIGINT)
    _, stderr = child.communicate(timeout=60)
    assert (child.returncode, stderr.decode()) == (130, "")


@pytest.mark.parametrize("whole_group", [True, False])
def test_an_interrupted_pool_of_long_items_ends_at_once_and_begins_no_more(tmp_path: Path, whole_group: bool) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys, time\n"
        "from pathlib import Path\n"
        "from garbage_synth.run.local import map_unordered\n"
        "def task(number):\n"
        "    Path(sys.argv[1], str(number)).touch()\n"
        "    time.sleep(300)\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        "        list(map_unordered(task, range(9), workers=2, interruptible=True))\n"
        "    except KeyboardInterrupt:\n"
        "        sys.exit(130)\n",
        encoding="utf-8",
    )
    begun = tmp_path / "begun"
    begun.mkdir()
    child = subprocess.Popen(
        [sys.executable, str(script), str(begun)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 120
        while len(list(begun.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        (os.killpg if whole_group else os.kill)(child.pid, signal.SIGINT)
        _, stderr = child.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # a session of its own, begun here
    assert (child.returncode, stderr.decode()) == (130, "")
    assert sorted(path.name for path in begun.iterdir()) == ["0", "1"]


def _zombie(pid: int) -> bool:
    try:
        return " Z " in Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return True


def test_available_workers_is_positive() -> None:
    assert 1 <= available_workers() <= (os.cpu_count() or 1)
