"""One file of a set that an instrument wrote opens the whole set, at the position of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest
import tifffile

from ndviewer_light import imread, open_dataset

if TYPE_CHECKING:
    from pathlib import Path

PHENIX = tuple(f"r0{r}c02f0{f}p01-ch{c}sk1fk1fl1.tiff" for r in (1, 2) for f in (1, 2) for c in (1, 2))
SETS = {
    "Opera Phenix": (PHENIX, 5, ("A2:1", "A2:2", "B2:1", "B2:2"), 2),
    "ImageXpress": (
        tuple(f"TimePoint_{t}/P_A0{w}_s1_w{c}.TIF" for t in (1, 2) for w in (1, 2) for c in (1, 2)),
        6,
        ("A01:1", "A02:1"),
        1,
    ),
    "MetaMorph": (
        tuple(f"run_w{c}_s{s}_t{t}.tif" for c in ("1DIC", "2GFP") for s in (1, 2) for t in (1, 2)),
        7,
        ("default:1", "default:2"),
        1,
    ),
    "Micro-Manager": (
        tuple(f"Pos{p}/img_{t:09}_{c}_000.tif" for p in (0, 1) for t in (0, 1) for c in ("DAPI", "GFP")),
        4,
        ("default:0", "default:1"),
        1,
    ),
    "InCell": (
        tuple(f"B - 07(fld {f} wv {c} - {c}).tif" for f in (1, 2, 3) for c in ("DAPI", "FITC")),
        2,
        ("B07:1", "B07:2", "B07:3"),
        1,
    ),
}


def write(folder: Path, names: tuple[str, ...]) -> None:
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / name, np.full((8, 9), i + 1, np.uint16))


@pytest.mark.parametrize("who", SETS)
def test_a_file_of_a_set_opens_all_of_it(tmp_path: Path, who: str) -> None:
    names, opened, labels, first = SETS[who]
    write(tmp_path, names)
    with open_dataset(tmp_path) as whole, open_dataset(tmp_path / names[opened]) as dataset:
        info = dataset.info
        assert tuple(position.label for position in info.positions) == labels
        assert info.first_position == first
        assert (info.n_t, info.n_z, info.channels) == (
            whole.info.n_t,
            whole.info.n_z,
            whole.info.channels,
        )
        assert int(dataset.plane(p=first).max()) == int(whole.plane(p=first).max())


def test_stacks_and_colour_pictures_are_parts_as_well(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for i, name in enumerate(PHENIX):
        pages = np.full((3, 8, 9), i, np.uint16)
        tifffile.imwrite(tmp_path / "a" / name, pages, photometric="minisblack", metadata={"axes": "ZYX"})
        PIL.Image.new("RGB", (9, 8), (i, 0, 0)).save(tmp_path / "b" / name.replace(".tiff", ".png"))
    with open_dataset(tmp_path / "a" / PHENIX[3]) as dataset:
        assert (len(dataset.info.positions), dataset.info.n_z, dataset.info.first_position) == (4, 3, 1)
    with open_dataset(tmp_path / "b" / PHENIX[6].replace(".tiff", ".png")) as dataset:
        assert (len(dataset.info.positions), dataset.info.first_position) == (4, 3)


def test_other_files_stay_by_themselves(tmp_path: Path) -> None:
    """What only looks like a series, what lies alone, and what its reader was named for."""
    write(tmp_path / "own", ("img_t000.tif", "img_t001.tif", "report.tif"))
    write(tmp_path / "alone", PHENIX[:1])
    write(tmp_path / "set", PHENIX)
    for path in ("own/img_t000.tif", "own/report.tif", f"alone/{PHENIX[0]}"):
        with open_dataset(tmp_path / path) as dataset:
            assert (dataset.info.n_t, len(dataset.info.positions)) == (1, 1)
    with open_dataset(tmp_path / "set" / PHENIX[0], format="tiff") as dataset:
        assert len(dataset.info.positions) == len(dataset.info.channels) == 1


def test_a_script_reads_the_one_image_that_it_names(tmp_path: Path) -> None:
    write(tmp_path, PHENIX)
    for i in (0, 5, 7):
        pixels = imread(tmp_path / PHENIX[i])
        assert pixels.shape == (8, 9)
        assert (pixels == i + 1).all()
    with open_dataset(tmp_path / PHENIX[5], storage_options={"alone": "yes"}) as dataset:
        assert len(dataset.info.positions) == 1
