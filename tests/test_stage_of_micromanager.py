"""Where Micro-Manager's positions lie on the stage: in stacks, in image files, in NDTiff."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from program_tiff_dialects import write_indexed
from tiff_cases import HEIGHT, WIDTH, image, write_pages

from ndviewer_light import open_dataset

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PLACES = [(1000.0, -500.0), (1090.0, -500.0), (1000.0, -410.0)]
PIXELS = np.zeros((8, 8), "u2")


def of_version_2(labels: Sequence[str]) -> dict[str, Any]:
    devices = [
        [{"Device": "other", "Position_um": [7, 7]}, {"Device": "XY", "Position_um": list(place)}]
        for place in PLACES
    ]
    listed = zip(labels, devices, strict=True)
    return {
        "StagePositions": [
            {"Label": label, "DefaultXYStage": "XY", "DevicePositions": each} for label, each in listed
        ]
    }


def of_version_1(labels: Sequence[str]) -> dict[str, Any]:
    listed = zip(labels, PLACES, strict=True)
    return {
        "InitialPositionList": [
            {"Label": label, "DeviceCoordinatesUm": {"Z": [5.0], "XY": list(place)}}
            for label, place in listed
        ]
    }


def places_of(path: Path) -> list[tuple[float | None, float | None]]:
    with open_dataset(path) as dataset:
        return [(position.x_um, position.y_um) for position in dataset.info.positions]


def write_files(folder: Path, names: Sequence[str], summary: dict[str, Any]) -> Path:
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, PIXELS + i)
        (path.parent / "metadata.txt").write_text(json.dumps({"Summary": {"PixelSize_um": 1.0, **summary}}))
    return folder


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            [f"img_channel000_position00{p}_time000000000_z000.tif" for p in range(3)],
            of_version_2(["a", "b", "c"]),
        ),
        (
            [f"Pos{p}/img_channel000_position00{p}_time000000000_z000.tif" for p in range(3)],
            of_version_2(["Pos0", "Pos1", "Pos2"]),
        ),
        (
            [
                f"{w}/img_channel000_position00{p}_time000000000_z000.tif"
                for p, w in enumerate(("A1-Site_0", "A1-Site_1", "B1-Site_0"))
            ],
            of_version_2(["A1-Site_0", "A1-Site_1", "B1-Site_0"]),
        ),
        ([f"Pos{p}/img_000000000_DAPI_000.tif" for p in range(3)], of_version_1(["Pos0", "Pos1", "Pos2"])),
        (
            [f"1-Pos_{at}/img_000000000_DAPI_000.tif" for at in ("000_000", "000_001", "001_000")],
            of_version_1(["1-Pos_000_000", "1-Pos_000_001", "1-Pos_001_000"]),
        ),
    ],
)
def test_image_files_are_where_the_list_of_positions_has_them(tmp_path, names, said):
    assert places_of(write_files(tmp_path / "run", names, said)) == PLACES


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"StagePositions": "none"},
        {
            "StagePositions": [
                None,
                {"DevicePositions": 3},
                {"DevicePositions": [{"Position_um": ["x", None]}]},
            ]
        },
        {"InitialPositionList": [{"DeviceCoordinatesUm": {"XY": [1.0]}}, {"DeviceCoordinatesUm": []}]},
    ],
)
def test_lists_without_places_are_no_places(tmp_path, said):
    names = [f"Pos{p}/img_000000000_DAPI_000.tif" for p in range(3)]
    assert places_of(write_files(tmp_path / "run", names, said)) == [(None, None)] * 3


@pytest.mark.parametrize("said", [of_version_1(["a", "b", "c"]), of_version_2(["a", "b", "c"])])
def test_stacks_are_where_the_list_of_positions_has_them(tmp_path, said):
    order = [(t, c, z) for t in range(2) for c in range(2) for z in range(3)]
    for p in range(3):
        write_indexed(tmp_path / f"run_MMStack_Pos{p}.tif", image(2, 2, 3, p), order, p, **said)
    assert places_of(tmp_path) == PLACES


@pytest.mark.parametrize("ending", ["PositionUm", "Position_um_Intended"])
def test_ndtiff_is_where_its_first_planes_say(tmp_path, ending):
    folder, index = tmp_path / "run_1", b""
    folder.mkdir()
    pages = [image(1, 1, 1, p)[0, 0, 0] for p in range(3)]
    write_pages(folder / "run_NDTiffStack.tif", pages)
    with tifffile.TiffFile(folder / "run_NDTiffStack.tif") as file:
        places = [int(page.dataoffsets[0]) for page in file.pages]
    with open(folder / "run_NDTiffStack.tif", "ab") as file:
        for p, ((x, y), at) in enumerate(zip(PLACES, places, strict=True)):
            said = json.dumps({f"X{ending}": x, f"Y{ending}": y}).encode()
            axes, name, begin = json.dumps({"position": p}).encode(), b"run_NDTiffStack.tif", file.tell()
            file.write(said)
            index += struct.pack("<I", len(axes)) + axes + struct.pack("<I", len(name)) + name
            index += struct.pack("<IiiiiIii", at, WIDTH, HEIGHT, 1, 0, begin, len(said), 0)
    (folder / "NDTiff.index").write_bytes(index)
    assert places_of(folder) == PLACES
