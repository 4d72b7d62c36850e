"""Files of a network share: as any other file, by a few handles."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from ndviewer_light.errors import (
    CorruptDataError,
    DatasetError,
    DatasetNotFoundError,
    UnsupportedError,
)
from ndviewer_light.storage.open_bytes import open_bytes
from tests.share_server import ShareServer

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024**2
CONTENT = os.urandom(5 * MIB)


@pytest.fixture(scope="module")
def share(tmp_path_factory) -> Iterator[ShareServer]:
    pytest.importorskip("smbprotocol", reason="pip install smbprotocol")
    pytest.importorskip("impacket", reason="no share to read from: pip install impacket")
    folder = tmp_path_factory.mktemp("share")
    (folder / "day 1").mkdir()
    (folder / "day 1" / "a.nd2").write_bytes(CONTENT)
    with ShareServer(folder) as server:
        yield server


@pytest.fixture
def login(share) -> dict[str, str]:
    return {"user": share.user, "password": share.password}


def test_reads_are_exact_from_many_threads(share, login):
    file, wrong = open_bytes(share.url("day 1/a.nd2"), login), []
    assert file.size == len(CONTENT)

    def read(seed: int) -> None:
        offsets = [(seed * 977 + number * 131_071) % (4 * MIB) for number in range(10)]
        for offset, data in zip(offsets, file.read_many([(o, 5000) for o in offsets]), strict=True):
            if data != CONTENT[offset : offset + 5000]:
                wrong.append(offset)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert file.read(0, len(CONTENT)) == CONTENT
    assert file.read_many([(5, 0), (0, 3)]) == [b"", CONTENT[:3]]
    file.close()


def test_parsers_read_it_as_a_file(share, login):
    file = open_bytes(share.url("day 1/a.nd2"), login)
    with file.opened() as stream:
        stream.seek(-7, os.SEEK_END)
        assert stream.read() == CONTENT[-7:]
    file.close()


def test_its_name_holds_no_login_and_its_identity_changes_with_it(share, login):
    url = share.url("day 1/a.nd2").replace("//", f"//{share.user}:{share.password}@")
    file = open_bytes(url)
    assert file.name == share.url("day 1/a.nd2")
    first = file.identity
    file.close()
    os.utime(share.folder / "day 1" / "a.nd2", (1_000_000_000, 1_000_000_000))
    file = open_bytes(url)
    assert first is not None and file.identity not in (None, first)
    file.close()


def test_a_read_beyond_the_end_is_an_error(share, login):
    (share.folder / "short.nd2").write_bytes(CONTENT[: 2 * MIB])
    file = open_bytes(share.url("short.nd2"), login)
    with pytest.raises(CorruptDataError, match="is truncated"):
        file.read(2 * MIB - 1, 2)
    os.truncate(share.folder / "short.nd2", MIB)
    with pytest.raises(CorruptDataError, match="is truncated"):
        file.read(0, 2 * MIB)
    file.close()


def test_what_is_closed_is_closed(share, login):
    file = open_bytes(share.url("day 1/a.nd2"), login)
    file.read(0, 1)
    file.close()
    file.close()
    with pytest.raises(DatasetError, match="was closed"):
        file.read(0, 1)


@pytest.mark.parametrize("path", ["none.nd2", "day 2/a.nd2", "day 1"])
def test_what_is_not_a_file_there_says_so(share, login, path):
    with pytest.raises(DatasetNotFoundError, match=r"check the spelling|is a folder"):
        open_bytes(share.url(path), login)


def test_a_wrong_login_and_a_server_that_is_off_say_what_to_check(share):
    with pytest.raises(DatasetError, match="'user' and 'password'") as caught:
        open_bytes(share.url("day 1/a.nd2"), {"user": "somebody", "password": "canary"})
    assert "canary" not in str(caught.value)
    with pytest.raises(DatasetError, match=r"127\.0\.0\.1 does not answer or refused the login"):
        open_bytes("smb://127.0.0.1:9/pictures/a.nd2", {"user": "a", "password": "b"})


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "smbclient", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'ndviewer_light\[smb\]'"):
        open_bytes("smb://127.0.0.1/pictures/a.nd2")
