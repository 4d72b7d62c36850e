"""The command line: what is said of the storage arrives where it is used."""

from __future__ import annotations

import argparse

import pytest

from ndviewer_light.__main__ import add_storage_options, main, storage_options


def told(*arguments: str) -> dict[str, str]:
    parser = argparse.ArgumentParser()
    add_storage_options(parser)
    return storage_options(parser.parse_args(arguments))


def test_nothing_said_is_nothing_told():
    assert told() == {}


def test_options_of_the_storage_are_told_by_name(tmp_path):
    assert told("--storage-option", "endpoint=http://h:9000/?a=b", "--storage-option", "anonymous=yes") == {
        "endpoint": "http://h:9000/?a=b",
        "anonymous": "yes",
    }
    assert told("--cache-dir", str(tmp_path)) == {"cache_dir": str(tmp_path)}
    assert told("--no-disk-cache", "--pattern", "a{z}.png") == {"disk_cache": "no", "pattern": "a{z}.png"}


@pytest.mark.parametrize("option", ["endpoint", "=value", ""])
def test_what_is_no_option_of_the_storage_is_refused_in_words(option, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--storage-option", option, "/nowhere"])
    assert ended.value.code == 2
    assert "expected NAME=VALUE" in capsys.readouterr().err
