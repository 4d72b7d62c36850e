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


WORDS = {
    "times and channels": (("img_t000_GFP", "img_t001_GFP", "img_t000_DAPI", "img_t001_DAPI"), (2, 1, 2, 1)),
    "stacks": (("embryo 1 left", "embryo 2 left"), (1, 2, 1, 3)),
    "channels": (("DAPI", "GFP", "BF"), (1, 1, 3, 1)),
    "counted": (("cells1", "cells2", "cells3"), (3, 1, 1, 1)),
}


@pytest.mark.parametrize("who", WORDS)
@pytest.mark.parametrize("ending", [".tif", ".png"])
def test_a_file_that_is_named_like_others_says_so(tmp_path: Path, who: str, ending: str) -> None:
    """It is shown alone, with the other choice in a message, and as another way to read it."""
    stems, sizes = WORDS[who]
    depth = sizes[3] if ending == ".tif" else 1
    for i, stem in enumerate((*stems, "report")):
        pixels = np.full((depth, 8, 9) if depth > 1 else (8, 9), i + 1, np.uint16)
        if ending == ".tif":
            tifffile.imwrite(tmp_path / f"{stem}.tif", pixels, photometric="minisblack")
        else:
            PIL.Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{stem}.png")
    path = tmp_path / f"{stems[1]}{ending}"
    with open_dataset(path) as dataset:
        assert (dataset.info.n_t, len(dataset.info.positions), len(dataset.info.channels)) == (1, 1, 1)
        (warning,) = dataset.info.warnings
        assert f"{len(stems) - 1} other file" in warning
        assert (dataset.plane() == 2).all()
        way = next(each for each in dataset.info.interpretations if each.options[0][0] == "pattern")
        assert way.options[0][1] in warning
    with open_dataset(path, storage_options=dict(way.options)) as dataset:
        info = dataset.info
        assert (info.n_t, len(info.positions), len(info.channels), info.n_z) == (*sizes[:3], depth)
        assert any(
            (dataset.plane(t=t, p=info.first_position, c=c) == 2).all()
            for t, c in np.ndindex(info.n_t, sizes[2])
        )
    for stem, options in (("report", {}), (stems[0], {"alone": "yes"})):
        with open_dataset(tmp_path / f"{stem}{ending}", storage_options=options) as dataset:
            assert dataset.info.warnings == ()


def test_a_script_reads_the_one_image_that_it_names(tmp_path: Path) -> None:
    write(tmp_path, PHENIX)
    for i in (0, 5, 7):
        pixels = imread(tmp_path / PHENIX[i])
        assert pixels.shape == (8, 9)
        assert (pixels == i + 1).all()
    with open_dataset(tmp_path / PHENIX[5], storage_options={"alone": "yes"}) as dataset:
        assert len(dataset.info.positions) == 1
