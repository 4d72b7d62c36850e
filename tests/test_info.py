"""``ndviewer-light info``: what it says of every kind of dataset, to people and to programs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import image_stores
import pytest
import slides
import stores

from ndviewer_light.cli import info
from ndviewer_light.errors import DatasetNotFoundError
from ndviewer_light.storage.remote.client import RemoteFile

if TYPE_CHECKING:
    from tests.range_server import RangeServer

KEYS = [
    *("path", "name", "format", "why", "sizes", "dtype", "bytes", "pixel_size_um", "z_step_um"),
    *(
        "time_step_s",
        "times",
        "complete",
        "positions",
        "acquisitions",
        "channels",
        "images",
        "labels",
        "may_be",
        "levels",
        "open",
        "first_plane",
    ),
    *("hosts", "details", "warnings"),
]


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert info.main([*arguments, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert list(said) == KEYS
    return said


def test_a_plate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wells = {f"A/{column}": 2 for column in range(1, 5)}
    stores.write_plate(tmp_path / "p.zarr", wells, preset="best", shard_channels=True)
    said = as_json(capsys, str(tmp_path / "p.zarr"))
    assert (said["name"], said["format"]) == ("p.zarr", "ome-zarr plate")
    assert "wells" in said["why"]
    assert said["sizes"] == {"t": 2, "p": 8, "c": 2, "z": 2, "y": stores.HEIGHT, "x": stores.WIDTH}
    assert list(said["sizes"]) == list("tpczyx")
    assert (said["dtype"], said["bytes"]) == ("uint16", 2 * 8 * 2 * 2 * stores.HEIGHT * stores.WIDTH * 2)
    assert said["pixel_size_um"] == {"y": 0.325, "x": 0.325}
    assert (said["z_step_um"], said["time_step_s"], said["complete"]) == (1.5, 2.5, False)
    assert said["positions"]["count"] == 8
    assert [position["label"] for position in said["positions"]["first"]] == [
        *("A1:0", "A1:1", "A2:0", "A2:1", "A3:0")
    ]
    assert [channel["name"] for channel in said["channels"]] == list(stores.CHANNELS[:2])
    details = said["details"]
    assert (details["zarr"], details["axes"], details["shape"]) == (3, "t c z y x", [2, 2, 2, 24, 40])
    assert (details["chunks"], details["shards"]) == ([1, 1, 1, 24, 40], [1, 2, 1, 24, 40])
    assert details["codecs"] == ["sharding_indexed", "transpose", "bytes", "blosc"]
    assert said["first_plane"]["error"] is None
    assert said["first_plane"]["requests"] is None  # nobody counts the disk
    assert said["hosts"] == []


def test_levels_and_what_is_not_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stores.write_pyramid(tmp_path / "i.zarr", names=("full", "half"))
    said = as_json(capsys, str(tmp_path / "i.zarr"))
    assert said["levels"] == [[1, 24, 40], [1, 12, 20]]
    assert (said["times"], said["complete"]) == (None, None)


@stores.needs_zarr_3
def test_positions_that_differ_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alike, other = (
        image_stores.Made([image_stores.pixels(1, n_c, n_z, 8, 10)], names, [(1, um, um)])
        for n_c, n_z, names, um in ((1, 1, ("DAPI",), 0.65), (2, 3, ("Cy5", "Cy7"), 0.1625))
    )
    image_stores.write_plate(tmp_path / "p.zarr", {"A/1": [alike, other, alike]})
    said = as_json(capsys, str(tmp_path / "p.zarr"))
    assert [(image["positions"], image["channels"]) for image in said["images"]] == [
        (2, ["DAPI"]),
        (1, ["Cy5", "Cy7"]),
    ]
    assert said["images"][1]["sizes"] == {"t": 1, "c": 2, "z": 3, "y": 8, "x": 10}
    assert said["images"][1]["pixel_size_um"] == {"y": 0.1625, "x": 0.1625}
    assert said["bytes"] == (2 * 1 + 2 * 3) * 8 * 10 * 2
    info.main([str(tmp_path / "p.zarr")])
    assert "1 like A1:1: t 1 c 2 z 3 y 8 x 10" in capsys.readouterr().out


@stores.needs_zarr_3
def test_acquisitions_of_a_plate_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = image_stores.Made([image_stores.pixels(1, 1, 1, 8, 10)], ["DAPI"], [(1, 0.5, 0.5)])
    named = [{"id": 0, "name": "before drug"}, {"id": 1}]
    image_stores.write_plate(tmp_path / "p.zarr", {"A/1": [image, image], "A/2": [image]}, acquisitions=named)
    said = as_json(capsys, str(tmp_path / "p.zarr"))
    assert said["acquisitions"] == [{"name": "before drug", "positions": 2}, {"name": "1", "positions": 1}]
    info.main([str(tmp_path / "p.zarr")])
    assert "acquisitions  2 in before drug" in capsys.readouterr().out
    image_stores.write_plate(tmp_path / "q.zarr", {"A/1": [image]})
    assert as_json(capsys, str(tmp_path / "q.zarr"))["acquisitions"] is None


def test_plane_that_is_not_stored_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stores.write_image(tmp_path / "i.zarr", skip=[(0, 0, 0, 0)])
    said = as_json(capsys, str(tmp_path / "i.zarr"))
    assert "nothing is stored" in said["first_plane"]["error"]
    info.main([str(tmp_path / "i.zarr")])
    assert "nothing is stored" in capsys.readouterr().out


def test_text_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stores.write_pyramid(tmp_path / "i.zarr", names=("full", "half"))
    store = stores.create_array(tmp_path / "a.zarr", [3, 24, 40])
    stores.fill(store, "zyx")
    assert info.main([str(tmp_path / "i.zarr")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(tmp_path / "i.zarr")
    where = {line.split()[0]: line.index(line.split(maxsplit=1)[1]) for line in lines[1:] if line[2] != " "}
    assert {"format", "sizes", "pixels", "scale", "channels", "positions", "levels", "chunks"} <= set(where)
    assert any("2: 24 × 40, 12 × 20" in line for line in lines)
    assert any("uint16, 3.84 kB in total" in line for line in lines)
    assert info.main([str(tmp_path / "a.zarr")]) == 0
    assert "axes are not named" in capsys.readouterr().out


def test_nothing_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert info.main([str(tmp_path / "nothing")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert str(tmp_path / "nothing") in err
    assert info.main([str(tmp_path / "nothing"), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["error"]["name"] == DatasetNotFoundError.__name__
    assert str(tmp_path / "nothing") in said["error"]["text"]


def test_a_path_that_leads_nowhere_is_said_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert info.main([""]) == 1  # of a variable that is not set: not the working directory
    assert "the path is empty" in capsys.readouterr().err
    (tmp_path / "link").symlink_to("/media/unplugged/run.zarr")
    assert info.main(["link"]) == 1
    assert "it is a symbolic link to /media/unplugged/run.zarr" in capsys.readouterr().err
    (tmp_path / "notes.tif").write_text("note\n")
    assert info.main(["notes.tif"]) == 1
    assert "is not a TIFF file" in capsys.readouterr().err, "and neither truncated nor being written"


def test_the_command(tmp_path: Path) -> None:
    stores.write_image(tmp_path / "i.zarr")
    done = subprocess.run(
        [sys.executable, "-m", "ndviewer_light", "info", str(tmp_path / "i.zarr"), "--json"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout)["format"] == "ome-zarr image"


def test_option_that_is_none_is_refused_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        info.main(["a.zarr", "--storage-option", "endpoint"])
    assert "expected NAME=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["ftp://host/scan", "htps://host/scan.h5", "magnet://host/run.tif"])
def test_an_address_of_another_kind_is_named(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert info.main([address]) == 1
    said = capsys.readouterr().err
    assert address in said and "https://" in said and "s3://" in said and "named as by" not in said


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://", "s3:// names no bucket: expected s3://BUCKET/PATH"),
        ("https://me:secret@/a.tif", "https:///a.tif names no server: expected https://SERVER/PATH"),
        ("smb://", "smb:// names no server: expected smb://SERVER/SHARE/PATH"),
        ("smb://host", "smb://host names no file there: expected smb://SERVER/SHARE/PATH"),
        ("file://", "file:// names no file: expected file:///PATH"),
    ],
)
def test_an_address_that_names_nothing_is_said_to(
    address: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert info.main([address]) == 1
    assert capsys.readouterr().err == f"ndviewer-light info: {said}\n"


def test_requests_and_bytes_from_a_server_are_those_it_served(
    server: RangeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    stores.write_plate(server.folder / "p.zarr", {"A/1": 1, "A/2": 1}, preset="none")
    methods = RemoteFile.get, RemoteFile.get_whole
    server.set()
    said = as_json(capsys, server.url("p.zarr"))
    counts = server.counts()
    assert (said["open"]["requests"], said["first_plane"]["requests"]) == (6, 1)
    assert counts["requests"] + counts["heads"] == 7 + 2  # the second image is looked at as well
    assert said["open"]["bytes"] + said["first_plane"]["bytes"] < counts["bytes"]
    assert said["first_plane"]["bytes"] == stores.HEIGHT * stores.WIDTH * 2
    assert said["hosts"] == [server.url().split("/")[2]]
    assert (RemoteFile.get, RemoteFile.get_whole) == methods


def test_archive_on_a_server(server: RangeServer, capsys: pytest.CaptureFixture[str]) -> None:
    stores.write_image(server.folder / "i.zarr", preset="none")
    shutil.make_archive(str(server.folder / "i"), "zip", server.folder / "i.zarr")
    server.set()
    said = as_json(capsys, server.url("i.zip"))
    counts = server.counts()
    assert said["open"]["requests"] + said["first_plane"]["requests"] == counts["requests"] + counts["heads"]
    assert said["open"]["bytes"] + said["first_plane"]["bytes"] == counts["bytes"]


def test_no_secret_is_said(server: RangeServer, capsys: pytest.CaptureFixture[str]) -> None:
    stores.write_image(server.folder / "i.zarr", preset="none")
    url = server.url("i.zarr").replace("//", "//bob:canary@") + "?sig=canary"
    for arguments in ([url], [url, "--json"], [url.replace("i.zarr", "nothing")]):
        info.main(arguments)
        assert "canary" not in "".join(capsys.readouterr())


def test_options_reach_the_server(server: RangeServer, capsys: pytest.CaptureFixture[str]) -> None:
    stores.write_image(server.folder / "i.zarr", preset="none")
    server.set(user="bob:a=b")
    assert info.main([server.url("i.zarr")]) == 1
    assert "401" in capsys.readouterr().err
    login = ["--storage-option", "user=bob", "--storage-option", "password=a=b"]
    assert as_json(capsys, server.url("i.zarr"), *login)["format"] == "ome-zarr image"


def test_other_formats(capsys: pytest.CaptureFixture[str]) -> None:
    nd2 = Path(__file__).parents[2] / "shared" / "data" / "cluster.nd2"
    if not nd2.exists():
        pytest.skip("the shared ND2 file is not there")
    pytest.importorskip("nd2")
    said = as_json(capsys, str(nd2))
    assert (said["format"], said["sizes"]["z"]) == ("nd2", 10)
    assert said["why"]


def test_every_letter_of_a_name_can_be_printed_anywhere(tmp_path: Path) -> None:
    attributes = stores.image_attributes(channels=["ダピ µ", "b"])
    stores.write_image(tmp_path / "i.zarr", preset="none", attributes=attributes)
    code = "import sys; from ndviewer_light.cli.info import main; sys.exit(main(sys.argv[1:]))"
    for arguments in ([], ["--json"]):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "i.zarr"), *arguments],
            capture_output=True,
            env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(Path(__file__).parents[1])},
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.decode("ascii")


def test_of_a_slide_what_is_shown_first_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slides.write_slide(tmp_path / "pyramid.zarr", 40_000, 6)
    slides.write_slide(tmp_path / "flat.zarr", 40_000)
    for name, n_levels in (("pyramid.zarr", 6), ("flat.zarr", 1)):
        said = as_json(capsys, str(tmp_path / name))
        assert said["first_plane"]["error"] is None
        assert said["levels"] == [[1, *[slides.side_of(40_000, i)] * 2] for i in range(n_levels)]
