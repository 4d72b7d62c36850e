"""What a dataset says never steers the terminal, and whatever goes wrong ends with a sentence."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import unicodedata
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from PIL import Image
from stores import create_array, plane, write_image

from ndviewer_light import open_dataset
from ndviewer_light.cli import info, references
from ndviewer_light.errors import DatasetError, DatasetNotFoundError, UnsupportedError
from ndviewer_light.sources import open_source
from ndviewer_light.storage import utf8_paths
from ndviewer_light.storage.printable import PrintableFormatter, printable, tame_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]
COMMANDS = ("info", "references")

EVIL = "a\x1b]0;x\x07b\x9bc\u202ed\u2066e\r\nf\x7f\ufeffg\u2028h\ud800i"
SPELT = r"a\x1b]0;x\x07b\x9bc\u202ed\u2066e\r\nf\x7f\ufeffg\u2028h\ud800i"


def _run(*arguments: str | bytes, **how: object) -> subprocess.CompletedProcess[bytes]:
    command: list[str | bytes] = [sys.executable, "-m", "ndviewer_light", *arguments]
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
    return subprocess.run(command, cwd=ROOT, timeout=60, check=False, **how)  # type: ignore[call-overload,no-any-return]


def _unfit(text: str) -> list[str]:
    """What is in the text that a terminal would obey."""
    return [c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


def test_printable() -> None:
    assert printable(EVIL) == SPELT
    assert printable("Ex 488 µm – 細胞 \U0001f52c") == "Ex 488 µm – 細胞 \U0001f52c"
    assert printable("می\u200cخواهم") == "می\u200cخواهم"  # not the same word without it
    assert printable("\U000e0041") == r"\U000e0041"


# ---- names out of datasets -------------------------------------------------------------------


def _named(path: Path, label: str) -> Path:
    create_array(path / "0", (1, 24, 40)).write(plane()[None]).result()
    axes = [{"name": "c", "type": "channel"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    scale = [{"type": "scale", "scale": [1, 1, 1]}]
    attributes = {
        "ome": {
            "version": "0.5",
            "multiscales": [
                {"name": label, "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
            ],
            "omero": {"channels": [{"label": label, "color": "00FF00"}]},
        }
    }
    document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    (path / "zarr.json").write_text(json.dumps(document))
    return path


def test_a_channel_that_would_set_the_title_of_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _named(tmp_path / "a.zarr", "GFP\x1b]0;x\x07\u202e")
    assert info.main([str(path)]) == 0
    said = capsys.readouterr().out
    assert r"GFP\x1b]0;x\x07\u202e" in said
    assert _unfit(said) == []
    assert info.main([str(path), "--json"]) == 0
    said = capsys.readouterr().out
    assert _unfit(said) == []
    assert json.loads(said)["channels"][0]["name"] == "GFP\x1b]0;x\x07\u202e"


def test_an_error_and_a_path_that_would(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a\x1b[2Jb\n.zarr"
    path.mkdir()
    (path / "zarr.json").write_text('{"zarr_format": "\\u001b[2J"}')
    for command in (info, references):
        arguments = ["-o", str(tmp_path / "o.json")] if command is references else []
        assert command.main([str(path), *arguments]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert r"a\x1b[2Jb\n.zarr" in said.err
        assert _unfit(said.err) == []


def test_log_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("ndviewer_light.test_log_lines")
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(message)s"))
    logger.addHandler(handler)
    logger.propagate = False
    logger.warning("plane of %s", "GFP\x1b]0;x\x07")
    tame_logger("ndviewer_light.test_other")
    other = logging.getLogger("ndviewer_light.test_other")
    plain = logging.StreamHandler()
    other.addHandler(plain)
    other.propagate = False
    other.warning("tag %r of %s", 270, "GFP\x1b]0;x\x07")
    logger.removeHandler(handler)
    other.removeHandler(plain)
    assert capsys.readouterr().err == "plane of GFP\\x1b]0;x\\x07\ntag 270 of GFP\\x1b]0;x\\x07\n"


# ---- odd paths ---------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "address",
    [
        "http://[::1/x",
        "https://[/x.zarr",
        "s3://[x/y",
        "https://h:99999/x.zarr",
        "http://h:x/i.png",
        "gs://a\udcff/b",
    ],
)
def test_what_is_no_address(
    command: str, address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = info if command == "info" else references
    extra = ["-o", str(tmp_path / "o.json")] if command == "references" else ["--json"]
    assert module.main([address, *extra]) == 1
    said = capsys.readouterr()
    assert "is not a valid address" in said.out + said.err
    with pytest.raises(DatasetNotFoundError, match="is not a valid address"):
        open_source(address)


def test_no_secret_in_what_is_said_of_a_wrong_address() -> None:
    for address in ("http://me:secret@[::1/x?sig=secret", "http://me:secret@h:x/y.zarr?secret"):
        with pytest.raises(DatasetNotFoundError) as raised:
            open_source(address)
        assert "secret" not in str(raised.value)


def _odd_paths(folder: Path) -> list[str]:
    long = "x" * 5000
    return [
        *(
            str(folder / name)
            for name in ("nothing\udcff", long, f"{long}.zarr", f"a/{long}.tif", "a\0b", "\0.h5")
        ),
        *(str(folder / name) for name in ("nothing.zarr", "file/inner.tif", "loop", "::", "a.h5::/b")),
    ]


@pytest.mark.parametrize("i", range(11))
def test_odd_paths(tmp_path: Path, i: int, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    path = _odd_paths(tmp_path)[i]
    with pytest.raises(DatasetError) as raised:
        open_source(path)
    assert "Errno" not in str(raised.value)
    for command, more in ((info, []), (references, ["-o", str(tmp_path / "o.json")])):
        assert command.main([path, *more]) == 1
        said = capsys.readouterr().err
        assert re.match(rf"ndviewer-light {command.__name__.rpartition('.')[2]}: .+\n$", said)
        assert "Errno" not in said
        assert len(said) < 500 + len(str(tmp_path))


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_names_that_are_no_text(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/bad\xff"
    os.makedirs(folder)
    Image.fromarray(plane().astype("u1")).save(Path(os.fsdecode(folder)) / "img_t000.png")
    ended = _run("info", folder)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert rb"bad\udcff" in ended.stdout
    ended = _run("references", folder, "-o", folder + b"/refs.json")
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert rb"bad\udcff/refs.json" in ended.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("isolate", [False, True])
def test_zarr_below_a_name_that_is_no_text_is_read(tmp_path: Path, version: int, isolate: bool) -> None:
    folder = os.fsencode(tmp_path) + b"/M\xfcller"
    os.makedirs(folder)
    path = tmp_path / "i.zarr"
    write_image(path, version=version)
    with open_dataset(path) as dataset:
        right = dataset.plane()
    os.rename(path, folder + b"/i.zarr")
    with open_dataset(folder + b"/i.zarr", isolate=isolate) as dataset:
        np.testing.assert_array_equal(dataset.plane(), right)
        np.testing.assert_array_equal(
            np.squeeze(dataset.to_xarray().isel(time=0, fov=0, channel=0, z=0)), right
        )
    ended = _run("info", folder + b"/i.zarr")
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"UTF-8" not in ended.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_another_folder_of_such_a_name_is_another_dataset(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/\xe9t\xe9"
    for value in (1, 2):
        os.makedirs(folder)
        create_array(tmp_path / "a.zarr", (24, 40)).write(plane() + value).result()
        os.rename(tmp_path / "a.zarr", folder + b"/a.zarr")
        with open_dataset(folder + b"/a.zarr") as dataset:
            np.testing.assert_array_equal(dataset.plane(), plane() + value)
        os.rename(folder, folder + b"%d" % value)


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_too_many_folders_of_such_names_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utf8_paths, "_MAX_OPEN_FOLDERS", 0)
    folder = os.fsencode(tmp_path) + b"/M\xfcller"
    os.makedirs(folder)
    create_array(tmp_path / "a.zarr", (24, 40)).write(plane()).result()
    os.rename(tmp_path / "a.zarr", folder + b"/a.zarr")
    with (
        open_dataset(folder + b"/a.zarr") as dataset,
        pytest.raises(UnsupportedError, match="not valid UTF-8") as raised,
    ):
        dataset.plane()
    assert "pybind" not in str(raised.value).lower()


@pytest.mark.skipif(os.name == "nt", reason="paths are UTF-16 there")
def test_names_are_read_where_the_locale_knows_no_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "Pläte ☃.zarr"
    write_image(path)
    of_c = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ended = _run("info", os.fsencode(path), env=os.environ | of_c)
    assert ended.returncode == 0
    assert b"not valid UTF-8" not in ended.stdout


def test_an_archive_with_names_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    create_array(path, (24, 40)).write(plane()).result()
    with zipfile.ZipFile(tmp_path / "a.ozx", "w") as archive:
        for name in ("", "/", "."):
            archive.writestr(zipfile.ZipInfo(name), b"" if name == "/" else b"x")
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            archive.write(file, str(file.relative_to(path)))
    with pytest.raises(DatasetError, match="leads out of the dataset") as raised:
        open_source(str(tmp_path / "a.ozx"))
    assert "'/'" in str(raised.value)
    with zipfile.ZipFile(tmp_path / "b.ozx", "w") as archive:
        archive.writestr(zipfile.ZipInfo(""), b"x")
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            archive.write(file, str(file.relative_to(path)))
    source = open_source(str(tmp_path / "b.ozx"))
    np.testing.assert_array_equal(source.read_plane((0, 0, 0, 0)), plane())  # type: ignore[arg-type]
    source.close()


# ---- output that cannot be written -----------------------------------------------------------------


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_full_disk(tmp_path: Path, more: Sequence[str]) -> None:
    path = _named(tmp_path / "a.zarr", "GFP")
    with open("/dev/full", "wb") as full:
        ended = _run("info", str(path), *more, stdout=full)
    assert ended.returncode == 1
    assert ended.stderr == b"ndviewer-light info: cannot write the output: No space left on device\n"
    Image.fromarray(plane().astype("u1")).save(tmp_path / "a.png")
    ended = _run("references", str(tmp_path / "a.png"), "-o", "/dev/full")
    assert ended.returncode == 1
    assert b"cannot write /dev/full: the disk is full" in ended.stderr
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_pipe_that_nobody_reads(tmp_path: Path, more: Sequence[str]) -> None:
    path = _named(tmp_path / "a.zarr", "GFP")
    reading, writing = os.pipe()
    os.close(reading)
    ended = _run("info", str(path), *more, stdout=writing)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_references_to_where_nothing_can_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(plane().astype("u1")).save(tmp_path / "a.png")
    with pytest.raises(SystemExit, match="2"):
        references.main([str(tmp_path / "a.png"), "-o", str(tmp_path)])
    assert "expected the name of a file, and this is a folder" in capsys.readouterr().err
    for output in (str(tmp_path / "no" / "o.json"), f"{tmp_path}/a\0b"):
        assert references.main([str(tmp_path / "a.png"), "-o", output]) == 1
        said = capsys.readouterr().err
        assert "cannot write" in said
        assert "Errno" not in said


def test_a_damaged_hdf5_file_ends_with_its_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="earliest") as file:
        file.create_dataset("a", data=np.zeros((3, 20, 30), "u2"), chunks=(1, 20, 30), compression="gzip")
    data = path.read_bytes()
    heap = data.index(b"HEAP")
    for at, value in ((heap + 8, 0xFF), (heap + 16, 0xFF), (24, 0xFF), (heap + 24, 0x01), (40, 0xFE)):
        path.write_bytes(data[:at] + bytes([value]) + data[at + 1 :])
        ended = _run("info", str(path))
        assert ended.returncode in (0, 1), (at, ended)
        assert b"Traceback" not in ended.stderr
        assert (ended.stderr.count(b"\n") == 1) == (ended.returncode == 1), ended.stderr


def test_a_message_that_quotes_a_dataset_stays_readable(tmp_path: Path) -> None:
    wrong = "x" * 5000
    (tmp_path / "refs.json").write_text(json.dumps({"version": 1, "refs": {wrong: 7}}))
    with pytest.raises(DatasetError) as raised:
        open_dataset(tmp_path / "refs.json")
    said = str(raised.value)
    assert len(said) < 1500 and said.startswith(str(tmp_path)) and "expected [url" in said


_INTERRUPTED = """
import os, signal, sys
from ndviewer_light.__main__ import main

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            sys.meta_path.remove(self)
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt as error:
                raise {error} from error

sys.meta_path.insert(0, Interrupting())
main(sys.argv[1:])
"""


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent otherwise there")
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "ImportError"])
def test_ctrl_c_while_a_command_starts_ends_it_without_a_word(
    tmp_path: Path, command: str, error: str
) -> None:
    program = _INTERRUPTED.format(error=error)
    started = [sys.executable, "-c", program, command, str(tmp_path / "a.zarr"), "-o", str(tmp_path / "o")]
    ended = subprocess.run(started, capture_output=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (130, b"")
