"""Bytes from a server: right bytes or a clear error, few requests, and nothing read that nobody wants."""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback

import pytest

from ndviewer_light.errors import (
    CorruptDataError,
    DatasetError,
    DatasetGoneError,
    DatasetNotFoundError,
    DatasetPermissionError,
    ReadTimeoutError,
    UnsupportedError,
    UntrustedReferenceError,
)
from ndviewer_light.storage.open_bytes import open_bytes
from ndviewer_light.storage.remote import client as fetch_client
from tests.served import (  # noqa: F401  fixtures
    CONTENT,
    KIB,
    MIB,
    a_server,
    a_server_without_faults,
    files_that_are_closed,
    tries_without_pauses,
    wait_until,
)

PASSING = ["drop", "503", "truncate", "short", "no_range", "wrong_range", "html"]


# ---- right bytes, few requests ----------------------------------------------------------------


def test_reads_are_exact_in_any_order(opened):
    file = opened()
    assert file.size == len(CONTENT)
    assert file.read(5 * MIB - 3, 10) == CONTENT[5 * MIB - 3 : 5 * MIB + 7]
    wanted = [(3 * MIB, MIB), (0, 3), (len(CONTENT) - 1, 1), (10, 0), (3 * MIB + 5, 7)]
    assert file.read_many(wanted) == [CONTENT[offset : offset + length] for offset, length in wanted]


def test_opening_is_one_request_and_brings_the_beginning(server, opened):
    file = opened()
    assert file.read(0, 100 * KIB) == CONTENT[: 100 * KIB]
    assert file.opened().read(16) == CONTENT[:16]
    assert server.counts()["requests"] == 1
    assert server.counts()["heads"] == 0, "signed links allow GET only"


def test_a_large_read_is_divided_and_small_neighbours_are_merged(server, opened):
    file = opened()
    server.set()
    assert file.read(MIB, 6 * MIB) == CONTENT[MIB : 7 * MIB]
    assert server.counts()["requests"] == 6
    server.set()
    rows = [(MIB + number * 5000, 4000) for number in range(100)]
    assert file.read_many(rows) == [CONTENT[offset : offset + 4000] for offset, _ in rows]
    assert server.counts()["requests"] == 1
    assert server.counts()["bytes"] <= 100 * 5000


def test_what_is_transferred_is_little_more_than_what_is_wanted(server, opened):
    file = opened()
    server.set()
    frames = [(4096 + number * (300 * KIB + 4096), 300 * KIB) for number in range(20)]
    file.read_many(frames)
    assert server.counts()["bytes"] <= 1.1 * 20 * 300 * KIB


def test_never_more_requests_under_way_than_allowed(server, opened):
    file = opened(in_flight="3")
    server.set(latency_s=0.02)
    file.read(0, 8 * MIB)
    assert 1 < server.counts()["max_in_flight"] <= 3


def test_a_parser_reads_through_a_few_blocks_that_stay(server, opened):
    file = opened()
    with file.opened(block=64 * KIB) as stream:
        for offset in (7 * MIB, 7 * MIB + 8, 10, 7 * MIB + 40_000, 12):
            stream.seek(offset)
            assert stream.read(8) == CONTENT[offset : offset + 8]
        assert server.counts()["requests"] == 2
        stream.seek(-5, os.SEEK_END)
        assert stream.read() == CONTENT[-5:]
        assert stream.read(1) == b""
        buffer = bytearray(10)
        stream.seek(-3, os.SEEK_END)
        assert stream.readinto(buffer) == 3
    assert file.read(0, 1) == CONTENT[:1], "the stream does not own the file"
    assert server.counts()["requests"] == 3


def test_who_reads_on_and_on_gets_more_at_once(server, opened):
    with opened().opened(block=64 * KIB) as stream:
        read = b""
        while part := stream.read(10_000):
            read += part
    assert read == CONTENT
    assert server.counts()["requests"] <= 16
    assert server.counts()["bytes"] == len(CONTENT)


def test_the_thread_that_sends_ends_soon_after_the_last_request_and_starts_again(opened):
    file = opened()
    for _ in range(2):
        assert file.read(5 * MIB, 10) == CONTENT[5 * MIB : 5 * MIB + 10]
        wait_until(lambda: "ndviewer-fetch" not in [thread.name for thread in threading.enumerate()])


def test_many_threads_read_at_once(opened):
    file, wrong = opened(), []

    def read(seed: int) -> None:
        with file.opened() as stream:
            for number in range(20):
                offset = (seed * 977 + number * 131_071) % (7 * MIB)
                stream.seek(offset)
                if file.read(offset, 50_000) != CONTENT[offset : offset + 50_000]:
                    wrong.append(offset)
                if stream.read(1000) != CONTENT[offset : offset + 1000]:
                    wrong.append(offset)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    "name", ["with space.nd2", "ü+ä.nd2", "a%2Fb#?.nd2", "a//b.nd2", "sub/deeper/ä b.nd2"]
)
def test_any_name_is_sent_as_it_was_given(server, opened, name):
    place = server.folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"content of " + name.encode())
    assert opened(name).read(0, 10) == b"content of"


def test_a_file_without_bytes_is_a_file(server, opened):
    (server.folder / "empty.bin").write_bytes(b"")
    file = opened("empty.bin")
    assert file.size == 0
    assert file.opened().read() == b""


def test_a_read_beyond_the_end_is_an_error_and_never_padded(opened):
    with pytest.raises(CorruptDataError, match=r"a\.bin is truncated: 3 of 10 bytes at byte 8388605"):
        opened().read(len(CONTENT) - 3, 10)


# ---- a server that fails now and then ---------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("fault", [*PASSING, "429"])
def test_a_server_that_often_fails_gives_the_right_bytes(server, opened, fault, seed):
    file = opened()
    server.set(faults={fault: 0.3}, fault_limit=3, seed=seed)
    wanted = [(number * 100 * KIB, 64 * KIB) for number in range(80)]
    assert file.read_many(wanted) == [CONTENT[offset : offset + length] for offset, length in wanted]
    assert server.counts()["faults"] > 5


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ("drop", DatasetError, "closed the connection .*tried 5 times"),
        ("503", DatasetError, r"overloaded or out of service \(503\)"),
        ("truncate", CorruptDataError, "sent less of"),
        ("short", CorruptDataError, "50,000 of 100,000 bytes"),
        ("no_range", DatasetError, "sent all of"),
        ("wrong_range", CorruptDataError, "a different part of"),
        ("html", DatasetError, "a web page"),
        ("400", DatasetError, "refused to send .* 400"),
        ("401", DatasetPermissionError, "requires authentication .*'user' and 'password'"),
        ("403", DatasetPermissionError, "denied access to .* may have expired"),
        ("404", DatasetGoneError, "no longer exists"),
    ],
)
def test_a_server_that_always_fails_is_an_error_that_says_what_to_do(server, opened, fault, error, says):
    file = opened()
    server.set(faults={fault: 1.0})
    with pytest.raises(error, match=says) as caught:
        file.read(MIB, 100_000)
    assert server.url("a.bin") in str(caught.value)


def test_a_body_that_does_not_end_is_left_after_what_was_asked_for(server, opened):
    file = opened()
    server.set(faults={"long": 1.0}, fault_limit=2)
    assert file.read(MIB, MIB) == CONTENT[MIB : 2 * MIB]
    assert server.counts()["faults"] == 2
    assert server.counts()["bytes"] < 256 * MIB, "of two times 1 GB; what is on the way is on the way"


def test_a_failure_that_would_be_the_same_again_is_not_tried_again(server, opened):
    file = opened()
    server.set(faults={"403": 1.0})
    with pytest.raises(DatasetPermissionError):
        file.read(MIB, 10)
    assert server.counts()["requests"] == 1


@pytest.mark.parametrize("slow", [{"faults": {"stall": 1.0}}, {"latency_s": 60.0}], ids=["body", "headers"])
def test_a_server_that_falls_silent_is_a_timeout(server, opened, slow):
    file = opened(timeout="0.2")
    server.set(**slow)
    with pytest.raises(ReadTimeoutError, match="stopped sending"):
        file.read(MIB, 10 * KIB)


def test_a_server_that_falls_silent_once_costs_only_time(server, opened):
    file = opened(timeout="0.2")
    server.set(faults={"stall": 1.0}, fault_limit=1)
    assert file.read(MIB, 10 * KIB) == CONTENT[MIB : MIB + 10 * KIB]


# ---- a file that is not what it was -----------------------------------------------------------


@pytest.mark.parametrize("said", [{}, {"etags": False}], ids=["etag", "date"])
def test_a_file_that_is_written_again_while_open_is_an_error(server, opened, said):
    server.set(**said)
    file = opened()
    (server.folder / "a.bin").write_bytes(CONTENT[::-1])
    os.utime(server.folder / "a.bin", (2_000_000_000, 2_000_000_000))
    with pytest.raises(CorruptDataError, match=r"has changed .* since it was opened: open it again"):
        file.read(MIB, 10)


def test_a_file_that_grows_while_open_is_an_error_even_if_the_server_says_nothing(server, opened):
    server.set(etags=False, dates=False)
    file = opened()
    with open(server.folder / "a.bin", "ab") as growing:
        growing.write(b"more")
    with pytest.raises(CorruptDataError, match="has changed"):
        file.read(MIB, 10)


def test_bytes_have_a_name_that_changes_with_them(server, opened):
    first = opened().identity
    assert first is not None and first == opened().identity
    (server.folder / "a.bin").write_bytes(CONTENT[1:])
    assert opened().identity not in (first, None)
    server.set(etags=False, dates=False)
    assert opened().identity is None, "nothing would tell that they have changed"


# ---- opening ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ("404", DatasetNotFoundError, "does not exist .*check the spelling"),
        ("403", DatasetPermissionError, "may have expired"),
        ("401", DatasetPermissionError, "'user' and 'password'"),
        ("500", DatasetError, r"out of service \(500\)"),
        ("html", DatasetPermissionError, "a web page instead of"),
        ("drop", DatasetError, "closed the connection"),
    ],
)
def test_what_cannot_be_opened_says_why(server, opened, fault, error, says):
    server.set(faults={fault: 1.0})
    with pytest.raises(error, match=says):
        opened()


def test_a_small_file_on_a_server_without_ranges_is_loaded_once(server, opened):
    server.set(ranges=False)
    file = opened()
    assert file.read(MIB, 100) == CONTENT[MIB : MIB + 100]
    assert file.opened().read(5) == CONTENT[:5]
    assert server.counts()["requests"] == 3


def test_a_large_file_on_a_server_without_ranges_is_not_loaded(server, opened, monkeypatch):
    monkeypatch.setattr(fetch_client, "MAX_WHOLE_BYTES", 4 * MIB)
    server.set(ranges=False)
    with pytest.raises(
        UnsupportedError, match=r"does not support byte ranges, .* too large to load whole \(8 MB\): download"
    ):
        opened()


def test_redirects_are_followed(server, opened):
    file = opened("redirect/a.bin")
    assert file.read(MIB, 10) == CONTENT[MIB : MIB + 10]


@pytest.mark.parametrize("where", ["file:///etc/passwd", "", "ftp://127.0.0.1/x"])
def test_redirects_that_lead_astray_are_not(server, where):
    server.set(redirect=where or server.url("redirect/a.bin"))
    with pytest.raises(UntrustedReferenceError, match="redirects"):
        open_bytes(server.url("redirect/a.bin"))


def test_a_server_that_is_off_and_one_that_never_was(server):
    with pytest.raises(DatasetError, match=r"127\.0\.0\.1:9 does not answer"):
        open_bytes("http://127.0.0.1:9/a.bin")
    with pytest.raises(DatasetError, match=r"cannot resolve host no-such-host\.invalid"):
        open_bytes("http://no-such-host.invalid/a.bin")
    with pytest.raises(DatasetError, match=r"cannot resolve the host of the bucket scans: .* 'endpoint'"):
        open_bytes("s3://scans/a.bin", {"endpoint": "https://no-such-host.invalid"})


@pytest.mark.parametrize("given", ["url", "options"])
def test_a_login_is_sent_and_never_shown(server, given):
    server.set(user="me:canary-secret")
    url, options = server.url("a.bin"), {}
    if given == "url":
        url = url.replace("//", "//me:canary-secret@")
    else:
        options = {"user": "me", "password": "canary-secret"}
    file = open_bytes(url, options)
    assert file.read(MIB, 3) == CONTENT[MIB : MIB + 3]
    assert "canary" not in file.name
    file.close()
    with pytest.raises(DatasetPermissionError, match="requires authentication"):
        open_bytes(server.url("a.bin"), {"user": "me", "password": "wrong"})


@pytest.mark.parametrize(
    ("url", "options", "error", "says"),
    [
        (
            "ftp://host/a.tif",
            {},
            UnsupportedError,
            "only files on this computer and http://, https://, s3://",
        ),
        ("file:///etc/passwd", {}, UnsupportedError, "cannot be opened"),
        ("https://", {}, DatasetError, "does not name a file"),
        ("s3://bucket", {}, DatasetError, "does not name a file"),
        (
            "https://host/a",
            {"endpont": "x"},
            DatasetError,
            "unknown storage option 'endpont'; known are endpoint,",
        ),
        ("https://host/a", {"timeout": "soon"}, DatasetError, "'timeout' must be a number"),
        ("https://host/a", {"in_flight": "-1"}, DatasetError, "'in_flight' must be a number"),
    ],
)
def test_what_makes_no_sense_is_refused_without_a_request(url, options, error, says):
    with pytest.raises(error, match=says):
        open_bytes(url, options)


def test_without_the_client_library_it_is_said_how_to_get_it(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'ndviewer_light\[remote\]'"):
        open_bytes(server.url("a.bin"))


# ---- secrets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [*PASSING, "401", "403", "404", "400"])
def test_a_signature_is_never_in_a_message_a_log_or_a_traceback(server, fault, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(fetch_client, "MAX_WHOLE_BYTES", MIB)
    signed = server.url("a.bin") + "?X-Amz-Signature=canary%2Fsecret&expires=1"
    server.set(query="X-Amz-Signature=canary%2Fsecret&expires=1")
    file = open_bytes(signed)
    assert file.read(MIB, 5) == CONTENT[MIB : MIB + 5]
    assert file.name == server.url("a.bin")
    server.set(faults={fault: 1.0})
    said = [file.name, repr(file), str(file.identity)]
    for attempt in (lambda: file.read(3 * MIB, 10), lambda: open_bytes(signed)):
        with pytest.raises(DatasetError) as caught:
            attempt()
        said += traceback.format_exception(caught.type, caught.value, caught.tb)
    file.close()
    assert "canary" not in "".join(said) + caplog.text
