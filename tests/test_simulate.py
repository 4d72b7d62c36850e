"""The planes of a simulated run: their pixels, their order, and settings that do not fit together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulations import files_below, small_run

import simulate_acquisition
from ndviewer_light.simulator.burnt_text import LETTERS
from simulate_acquisition import plane_pixels, read_burnt_text, write_run

# ---- pixels ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", simulate_acquisition.DTYPES)
@pytest.mark.parametrize("size", [(96, 96), (128, 300), (600, 520)], ids=str)
def test_a_plane_says_which_one_it_is(tmp_path: Path, dtype: str, size: tuple[int, int]) -> None:
    run = small_run(tmp_path, dtype=dtype, height=size[0], width=size[1])
    texts = [read_burnt_text(plane_pixels(run, p.t, p.fov, p.z, p.channel)) for p in run.planes()]
    assert texts[:3] == [
        "0/A1:0/0/BF LED matrix full",
        "0/A1:0/0/Fluorescence 488 nm Ex",
        "0/A1:0/1/BF LED matrix full",
    ]
    assert texts[-1] == "1/B2:0/1/Fluorescence 488 nm Ex"
    assert len(set(texts)) == len(texts) == 2 * 3 * 2 * 2


@pytest.mark.parametrize("letter", LETTERS.strip())
def test_every_letter_of_a_name_is_readable(tmp_path: Path, letter: str) -> None:
    run = small_run(tmp_path, channels=(f"x{letter}y {letter}",))
    assert read_burnt_text(plane_pixels(run, 0, 0, 0, 0)) == f"0/A1:0/0/x{letter}y {letter}"


def test_a_letter_without_a_picture_reads_as_a_question_mark(tmp_path: Path) -> None:
    run = small_run(tmp_path, channels=("µ-488",))
    assert read_burnt_text(plane_pixels(run, 0, 0, 0, 0)) == "0/A1:0/0/?-488"


def test_a_plane_too_small_for_its_text_holds_the_beginning(tmp_path: Path) -> None:
    run = small_run(tmp_path, height=32, width=32)
    assert "0/A1:0/0/BF LED matrix".startswith(read_burnt_text(plane_pixels(run, 0, 0, 0, 0)))
    run = small_run(tmp_path, height=5, width=3)
    assert plane_pixels(run, 0, 0, 0, 0).shape == (5, 3)


def test_the_same_plane_always_has_the_same_pixels_and_no_two_planes_do(tmp_path: Path) -> None:
    run, again = small_run(tmp_path / "a"), small_run(tmp_path / "b")
    planes = [plane_pixels(run, p.t, p.fov, p.z, p.channel) for p in run.planes()]
    for p, pixels in zip(again.planes(), planes, strict=True):
        np.testing.assert_array_equal(plane_pixels(again, p.t, p.fov, p.z, p.channel), pixels)
    below_the_text = {pixels[40:].tobytes() for pixels in planes}
    assert len(below_the_text) == len(planes)
    other_seed = plane_pixels(small_run(tmp_path, seed=1), 0, 0, 0, 0)
    assert not np.array_equal(other_seed, planes[0])


def test_channels_go_by_name_or_by_index(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    by_name = plane_pixels(run, 1, 2, 0, "Fluorescence 488 nm Ex")
    np.testing.assert_array_equal(plane_pixels(run, 1, 2, 0, 1), by_name)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_colour_plane_says_which_one_it_is_in_every_sample(tmp_path: Path, dtype: str) -> None:
    run = small_run(tmp_path, layout="images", channels=("BF LED matrix full_RGB",), dtype=dtype)
    pixels = plane_pixels(run, 1, 2, 0, 0)
    assert (pixels.shape, pixels.dtype) == ((128, 160, 3), np.uint8)
    samples = [pixels, *(pixels[..., i] for i in range(3))]
    assert {read_burnt_text(sample) for sample in samples} == {"1/B2:0/0/BF LED matrix full_RGB"}
    assert len({sample.tobytes() for sample in samples}) == 4


def test_planes_come_in_the_order_of_a_scan() -> None:
    run = small_run(Path("unused"), fovs=(2, 1))
    key = [(p.t, p.region_idx, p.local_fov, p.z, run.channels.index(p.channel)) for p in run.planes()]
    assert key == sorted(key)
    assert [p.fov for p in run.planes()][:: 2 * 2] == [0, 1, 2, 0, 1, 2]


def test_times_that_are_skipped_are_left_out_and_keep_their_numbers() -> None:
    run = small_run(Path("unused"), n_t=4, skip_t=(0, 2), blank=(3 * 12,))
    planes = list(run.planes())
    assert sorted({plane.t for plane in planes}) == [1, 3]
    assert len(planes) == 2 * run.planes_per_t == 24
    assert not plane_pixels(run, *planes[12][:2], *planes[12][4:]).any()


def test_a_region_without_fovs_has_no_planes() -> None:
    run = small_run(Path("unused"), regions=("A1", "A2", "B2"), fovs=(1, 0, 1))
    assert run.fov_labels == ["A1:0", "B2:0"]
    assert {(plane.fov, plane.region_idx) for plane in run.planes()} == {(0, 0), (1, 2)}


# ---- invalid settings -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layout": "5d"}, "layout is '5d'.*per_fov, hcs, 6d"),
        ({"dtype": "complex64"}, "dtype is 'complex64'"),
        ({"regions": ("A1",)}, "one count per region"),
        ({"regions": ("A1", "A1")}, "distinct names"),
        ({"regions": ("A1", "a1")}, "same well twice"),
        ({"regions": ("A1", "manual0x")}, "'manual0x' is not a well"),
        ({"fovs": (0, 0)}, "at least 1"),
        ({"fovs": (2, -1)}, "must be at least 0"),
        ({"layout": "6d", "fovs": (2, 0)}, "at least 1 in layout 6d"),
        ({"n_z": 0}, "at least 1"),
        ({"channels": ()}, "at least 1"),
        ({"compression": "best", "chunks": "256"}, "multiples of 256"),
        ({"layout": "images", "dtype": "float32"}, "'float32': layout images supports only uint8 or uint16"),
        ({"layout": "ome_tiff", "channels": ("BF LED matrix full_RGB",)}, "cannot store RGB channels"),
        ({"layout": "stacks", "channels": ("BF a", "BF/a")}, "have the same file names"),
        ({"layout": "images", "image_format": "jpeg"}, "image_format is 'jpeg'"),
    ],
)
def test_contradictory_settings_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small_run(tmp_path, **changes)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    run.folder.mkdir()
    (run.folder / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"experiment is not empty.*new folder"):
        write_run(run)
    assert files_below(run.folder) == {"notes.txt"}
