"""``ndviewer-light info PATH --planes``: what is there and what is not, to people, programs and shells."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import stores
from runs import small_run, write

from ndviewer_light.cli import info
from ndviewer_light.cli.planes import ranges

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 times, 2 channels, 3 z at 4 positions: 20 planes missing, 1 damaged."""
    path = tmp_path_factory.mktemp("plate") / "p.zarr"
    holes = [(2, 0, 1, 0), (2, 1, 1, 0)]
    stores.write_plate(path, {"A/1": 2, "B/3": 2}, sizes={"t": 8, "z": 3}, skip=holes)
    for t in (3, 4, 5):
        shutil.rmtree(path / f"B/3/0/0/c/{t}")
    damaged = path / "A/1/1/0/c/7/0/2/0/0"
    damaged.write_bytes(b"xx")
    os.utime(damaged, (1e9, 1e9))
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str]]:
    code = info.main([str(each) for each in arguments])
    text = capsys.readouterr().out
    lines = [line.strip() for line in text.splitlines()]
    start = next((i for i, line in enumerate(lines) if line.startswith("planes ")), None)
    return code, [] if start is None else [lines[start].removeprefix("planes").strip(), *lines[start + 1 :]]


def test_it_says_how_many_and_where(plate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = run(capsys, plate, "--planes")
    assert code == 3
    assert lines[0] == "expected 192 · present 172 · missing 20 · unreadable 0"
    assert lines[-3:] == [
        "missing (empty or not acquired); indices count from 0:",
        "A1:0 to A1:1 (2 positions)  t 2, Fluorescence 405 nm Ex, z 0",
        "B3:0  t 3–5, all channels",
    ]


def test_wells_that_are_listed_and_not_there_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stores.write_plate(tmp_path / "p.zarr", {"A/1": 1}, planned=["A/2", "B/12"], sizes={"t": 1, "z": 1})
    code, lines = run(capsys, tmp_path / "p.zarr", "--planes")
    assert code == 3
    assert lines[0] == "expected 2 · present 2 · missing 0 · unreadable 0"
    assert lines[-2:] == ["wells that the plate lists and that have no image:", "A2, B12"]
    info.main([str(tmp_path / "p.zarr"), "--planes", "--json"])
    assert json.loads(capsys.readouterr().out)["planes"]["empty_wells"] == ["A2", "B12"]


def test_reading_finds_the_damaged_plane_and_names_its_file(
    plate: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines = run(capsys, plate, "--planes", "--read")
    assert code == 3
    assert lines[0] == "expected 192 · present 171 · missing 20 · unreadable 1"
    assert lines[-1].startswith("A1:1  t 7, z 2, BF LED matrix full: ")
    assert "A/1/1/0/c/7/0/2/0/0 is damaged" in lines[-1]


def test_a_position_has_one_name_whatever_is_wrong_with_its_planes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stores.write_image(tmp_path / "a.zarr", sizes={"t": 4, "c": 1, "z": 1})
    metadata = tmp_path / "a.zarr/zarr.json"
    metadata.write_text(metadata.read_text().replace('"name": "0"', '"name": "cells"'))
    (tmp_path / "a.zarr/0/c/1/0/0/0/0").unlink()
    (tmp_path / "a.zarr/0/c/2/0/0/0/0").write_bytes(b"damaged")
    _, lines = run(capsys, tmp_path / "a.zarr", "--planes", "--read")
    filled, damaged = (line.split("  ")[0] for line in lines if "  t " in line)
    assert filled == damaged == "cells"


def test_as_json(plate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert info.main([str(plate), "--json", "--read"]) == 3
    said: dict[str, Any] = json.loads(capsys.readouterr().out)["planes"]
    assert (said["expected"], said["looked_at"], said["present"], said["missing"]) == (192, 192, 171, 20)
    assert (said["read"], said["limit"], said["may_be_empty"]) == (True, None, True)
    assert [(gap["labels"], gap["t"], gap["z"], gap["planes"]) for gap in said["gaps"]] == [
        (["A1:0", "A1:1"], [2, 2], [0], 2),
        (["B3:0", "B3:0"], [3, 5], [0, 1, 2], 18),
    ]
    (damaged,) = said["unreadable_planes"]
    assert [damaged[axis] for axis in "tpcz"] == [7, 1, 0, 2]
    assert list(said["by_position"]) == ["A1:0", "A1:1", "B3:0"]
    assert said["by_time"]["7"] == {"present": 23, "unreadable": 1}


def test_the_exit_status_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stores.write_image(tmp_path / "a.zarr")
    assert run(capsys, tmp_path / "a.zarr", "--planes")[0] == 0
    code, lines = run(capsys, tmp_path / "a.zarr", "--planes", "--seconds", "1e-9")
    assert code == 4
    assert lines[1] == "not all were looked at: the time limit was reached after 0 planes of 8"
    assert run(capsys, tmp_path / "a.zarr")[0] == 0
    assert run(capsys, tmp_path / "nothing.zarr", "--planes")[0] == 1


def test_of_files_it_does_not_say_that_they_may_be_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    acquired = small_run(tmp_path, layout="images")
    write(acquired)
    next(acquired.folder.rglob("*.tiff")).unlink()
    code, lines = run(capsys, acquired.folder, "--planes")
    assert (code, lines[0]) == (3, "expected 24 · present 23 · missing 1 · unreadable 0")
    assert lines[2] == "missing (nothing stored); indices count from 0:"


def test_indices_in_a_row_are_ranges() -> None:
    assert ranges([0, 1, 2, 5, 7, 8]) == "0–2, 5, 7–8"
    assert ranges([]) == ""


@pytest.mark.parametrize(
    ("skip", "options", "says"),
    [
        ([], ["--planes"], "all 24 planes are there; the metadata do not say that the run has ended"),
        ([(1, 2, 1, 1)], ["--planes"], "no: 23 of 24 planes were found, and the metadata do not say"),
        ([], [], "the metadata do not say that the run has ended: it goes on, or was stopped; --planes says"),
    ],
)
def test_a_run_whose_metadata_do_not_say_that_it_has_ended_is_complete_by_its_planes(
    skip: list[tuple[int, ...]],
    options: list[str],
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stores.write_plate(tmp_path / "p.zarr", {"A/1": 3}, skip=skip)
    info.main([str(tmp_path / "p.zarr"), *options])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.strip().startswith("complete ")]
    assert line.strip().removeprefix("complete").strip().startswith(says)
