"""What a reader process is held to: how much memory it may have, and what is left alone after it has died."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from memory_source import TIMEOUT, Clock, Gate, in_thread

from ndviewer_light.errors import ReaderCrashedError
from ndviewer_light.isolation import blame as module
from ndviewer_light.isolation import memory_limit
from ndviewer_light.isolation.blame import DEATHS, DEATHS_SECONDS, Blame

ROOT = Path(__file__).parents[1]
GIB = 1024**3


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def strike(blame: Blame, request: str = "a", times: int = DEATHS) -> None:
    for _ in range(times):
        blame.strike(request, "it was killed")


# ---- which request it was --------------------------------------------------------------------------------


def test_a_request_that_ended_too_many_readers_is_refused_with_the_last_reason(clock):
    blame = Blame()
    strike(blame, times=DEATHS - 1)
    blame.check("a", lambda: "reading it")
    blame.strike("a", "it needed more memory than it may have")
    with pytest.raises(ReaderCrashedError, match=rf"reading it .* {DEATHS} times .* it needed more memory"):
        blame.check("a", lambda: "reading it")
    blame.check("b", lambda: "reading another one")


def test_a_request_is_refused_for_as_long_as_its_deaths_count(clock):
    blame = Blame()
    strike(blame)
    clock.now += DEATHS_SECONDS - 1
    with pytest.raises(ReaderCrashedError):
        blame.check("a", lambda: "reading it")
    clock.now += 1
    blame.check("a", lambda: "reading it")


def test_deaths_far_apart_do_not_add_up(clock):
    blame = Blame()
    for _ in range(2 * DEATHS):
        strike(blame, times=1)
        clock.now += DEATHS_SECONDS / (DEATHS - 1)
        blame.check("a", lambda: "reading it")


def test_a_request_that_was_answered_is_no_suspect_any_more(clock):
    blame = Blame()
    strike(blame, times=DEATHS - 1)
    blame.clear("a")
    strike(blame, times=DEATHS - 1)
    blame.check("a", lambda: "reading it")


def test_what_was_long_ago_is_not_kept(clock):
    blame = Blame()
    for number in range(100):
        blame.strike(number, "it was killed")
    clock.now += DEATHS_SECONDS + 1
    strike(blame, times=1)
    assert set(blame._deaths) == set(blame._reasons) == {"a"}


def test_suspects_are_read_one_at_a_time_and_others_beside_them():
    blame, gate = Blame(), Gate()
    strike(blame, "a", 1), strike(blame, "b", 1)
    second_begins = threading.Event()

    def read(request: str, during) -> None:
        with blame.alone_if_suspected(request):
            during()

    first = in_thread(read, "a", gate)
    gate.wait_for_one()
    second = in_thread(read, "b", second_begins.set)
    in_thread(read, "no suspect", lambda: None).result(TIMEOUT)
    assert not second_begins.wait(0.1)
    gate.open()
    first.result(TIMEOUT), second.result(TIMEOUT)
    assert second_begins.is_set()


def test_a_suspect_that_hangs_holds_up_another_one_for_a_while_only(monkeypatch):
    monkeypatch.setattr(module, "_ALONE_SECONDS", 0.1)
    blame, gate = Blame(), Gate()
    strike(blame, "a", 1), strike(blame, "b", 1)

    def read_hanging() -> None:
        with blame.alone_if_suspected("a"):
            gate()

    hanging = in_thread(read_hanging)
    gate.wait_for_one()
    with blame.alone_if_suspected("b"):
        pass
    gate.open()
    hanging.result(TIMEOUT)
    with blame.alone_if_suspected("b"):  # whoever did not wait did not release what is not his
        assert blame._one_at_a_time.locked()


# ---- memory ----------------------------------------------------------------------------------------------


def limited(before: str = "") -> list[str]:
    """What a process says of its limit, once it has limited itself: ours, the soft and the hard one."""
    code = f"""
        import resource, sys
        sys.path.insert(0, {str(ROOT)!r})
        from ndviewer_light.isolation import memory_limit
        {before}
        memory_limit.limit_memory()
        print(memory_limit.memory_limit(), *resource.getrlimit(resource.RLIMIT_AS))
    """
    command = [sys.executable, "-I", "-c", textwrap.dedent(code)]
    return subprocess.check_output(command, text=True, timeout=60).split()


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no limit that is heeded")


@linux
@pytest.mark.parametrize(
    ("physical", "cores", "expected"),
    [
        pytest.param(100 * GIB, 4, 75 * GIB, id="three quarters"),
        pytest.param(4 * GIB, 4, 8 * GIB + 4 * 128 * 1024**2, id="a small computer: enough for every plane"),
        pytest.param(16 * GIB, 64, 16 * GIB, id="many cores: what their threads reserve as well"),
    ],
)
def test_how_much_memory_a_reader_may_have(physical, cores, expected):
    before = f"memory_limit._physical_bytes = lambda: {physical}; memory_limit.os.cpu_count = lambda: {cores}"
    ours, soft, _ = limited(before)
    assert int(ours) == int(soft) == expected


@linux
@pytest.mark.parametrize("which", ["soft", "hard"])
def test_a_lower_limit_that_was_set_before_stays(which):
    hard = 2 * GIB if which == "hard" else "resource.RLIM_INFINITY"
    ours, soft, hard_after = limited(f"resource.setrlimit(resource.RLIMIT_AS, ({2 * GIB}, {hard}))")
    assert int(ours) == int(soft) == 2 * GIB
    assert int(hard_after) == (2 * GIB if which == "hard" else -1)


def test_where_the_system_knows_no_limit_none_is_set(monkeypatch):
    monkeypatch.setattr(memory_limit, "resource", None)
    monkeypatch.setattr(memory_limit, "_limit", None)
    memory_limit.limit_memory()
    assert memory_limit.memory_limit() is None
