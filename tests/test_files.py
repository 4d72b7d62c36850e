"""Bytes of a file: exactly what was asked for, from any thread, until it is closed."""

from __future__ import annotations

import os
import threading
import time

import pytest

from ndviewer_light.errors import CorruptDataError, DatasetError, DatasetNotFoundError
from ndviewer_light.storage.asked_together import asked_together
from ndviewer_light.storage.bytes import is_url
from ndviewer_light.storage.open_bytes import open_bytes

CONTENT = bytes(range(256)) * 4096


@pytest.fixture
def path(tmp_path) -> str:
    file = tmp_path / "some.bin"
    file.write_bytes(CONTENT)
    return str(file)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("https://host/a.nd2", True),
        ("s3://bucket/a.zarr", True),
        ("C://data/a.nd2", False),
        ("/data/a://b", False),
        ("relative.nd2", False),
    ],
)
def test_urls_are_told_from_paths(path, expected):
    assert is_url(path) is expected


def test_reads_are_exact_in_any_order(path):
    file = open_bytes(path)
    assert file.size == len(CONTENT)
    assert file.read(1000, 10) == CONTENT[1000:1010]
    assert file.read_many([(5, 3), (0, 2), (len(CONTENT) - 1, 1)]) == [
        CONTENT[5:8],
        CONTENT[:2],
        CONTENT[-1:],
    ]
    file.close()


def test_a_read_beyond_the_end_is_an_error_and_never_padded(path):
    file = open_bytes(path)
    with pytest.raises(CorruptDataError, match=r"truncated: \d of 10 bytes"):
        file.read(len(CONTENT) - 5, 10)
    os.truncate(path, 100)
    with pytest.raises(CorruptDataError):
        file.read(50, 100)
    with pytest.raises(CorruptDataError, match="truncated"):
        file.read(2**63 + 5, 10)  # as a damaged file may say
    file.close()


def test_the_opened_file_is_one_to_parsers(path):
    file = open_bytes(path)
    with file.opened(block=4096) as stream:
        assert stream.read(16) == CONTENT[:16]
        assert stream.seek(-16, os.SEEK_END) == len(CONTENT) - 16
        assert stream.read() == CONTENT[-16:]
        assert stream.read(1) == b""
    assert file.read(0, 1) == b"\0", "the stream does not own the file"
    file.close()


def test_what_is_not_there_or_closed_says_so(path, tmp_path):
    with pytest.raises(DatasetNotFoundError):
        open_bytes(str(tmp_path / "nothing"))
    file = open_bytes(path)
    file.close()
    file.close()
    with pytest.raises(DatasetError, match="was closed"):
        file.read(0, 1)


def test_closing_while_threads_read_gives_right_bytes_or_an_error(path):
    for _ in range(20):
        file, wrong = open_bytes(path), []

        def read(file=file, wrong=wrong) -> None:
            try:
                while True:
                    if file.read(4096, 4096) != CONTENT[4096:8192]:
                        wrong.append(1)
            except DatasetError:
                pass

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        file.close()
        for thread in threads:
            thread.join()
        assert not wrong


def test_questions_that_a_disk_is_slow_to_answer_are_asked_together() -> None:
    threads, together = [], threading.Barrier(8)

    def ask(question: int) -> int:
        threads.append(threading.get_ident())
        if question < 2:
            time.sleep(0.005)  # twice slow
        elif question < 10:
            together.wait(timeout=30)  # passes once all of these are asked
        return -question

    assert asked_together(ask, range(12)) == [-question for question in range(12)]
    assert set(threads[:2]) == {threading.get_ident()}
    assert threading.get_ident() not in threads[2:]
    assert asked_together(ask, ()) == []
