"""Ends a server process, its children and its folder when the tests that started it have ended.

Run as a program it holds the reading end of a pipe and waits until the writing end is gone, which
happens however the tests end, also when they are killed. It imports the standard library alone.
"""

from __future__ import annotations

import glob
import os
import shutil
import signal
import sys
import time


def family(pid: int) -> list[int]:
    """Return *pid* and its descendants, parents first."""
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(name))
    found = [pid]
    for member in found:
        found += children.get(member, [])
    return found


def signal_family(pid: int, number: signal.Signals) -> None:
    """Send *number* to *pid* and its descendants."""
    for member in family(pid):
        try:
            os.kill(member, number)
        except ProcessLookupError:
            continue


def is_stopped(pid: int) -> bool:
    """True if every thread of *pid* stands still, or has ended; a signal takes a moment to reach them."""
    for path in glob.glob(f"/proc/{pid}/task/*/stat"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                state = file.read().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state not in "TtZX":
            return False
    return True


def end_family(pid: int) -> None:
    """Kill *pid* and its descendants; those who are stopped too."""
    signal_family(pid, signal.SIGSTOP)  # so that no further children come
    signal_family(pid, signal.SIGKILL)


def runs(pid: int) -> bool:
    """True for a process that has not ended; one that nobody waited for has."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return ") Z" not in file.read()
    except (FileNotFoundError, ProcessLookupError):
        return False


def main() -> None:
    """Wait for the end of standard input; then end the process and remove the folder named.

    The third argument is the signal to try first, 0 for none.
    """
    pid, folder, farewell = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    sys.stdin.read()
    if farewell:
        signal_family(pid, signal.SIGCONT)
        os.kill(pid, farewell)
        deadline = time.monotonic() + 5
        while runs(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
    end_family(pid)
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.exists(folder):
            break
        time.sleep(0.1)


if __name__ == "__main__":
    main()
