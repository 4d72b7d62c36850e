"""How instruments and programs name their files: what the names mean, and what real folders show."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest
import tifffile

from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.images.catalogue import FileCatalogue
from ndviewer_light.sources.images.name_layouts import understood
from ndviewer_light.sources.images.patterns import Pattern
from tests.name_case import names_of
from tests.name_conventions import BEGIN, CASES, END, FORMATS, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from ndviewer_light.sources.source import Source
    from tests.name_case import Case


@pytest.mark.parametrize("case", CASES, ids=[case.convention for case in CASES])
def test_names_mean_what_their_writers_mean(case: Case) -> None:
    names = list(case.names)
    random.Random(1).shuffle(names)
    layout = understood(names).layout
    assert layout is not None
    assert layout.sizes == case.full_sizes
    assert sorted(layout.left_out) == sorted(case.left_out)
    assert bool(layout.doubts) == case.is_doubtful
    catalogue = FileCatalogue(layout.pattern.text)
    catalogue.add((fields, name) for name, fields in layout.fields.items())
    assert not catalogue.doubles and len(catalogue.files) == len(names) - len(case.left_out)
    if case.channels:
        assert tuple(catalogue.channel_names()) == case.channels
    labels = tuple(position.label for position in catalogue.positions)
    assert labels[: len(case.positions)] == case.positions
    assert not case.z or tuple(catalogue.z) == case.z
    assert not case.times or tuple(catalogue.times) == case.times


@pytest.mark.parametrize("case", CASES, ids=[case.convention for case in CASES])
def test_the_pattern_that_is_told_gives_the_same(case: Case) -> None:
    """What `--pattern` takes is what was understood."""
    layout = understood(list(case.names)).layout
    assert layout is not None
    again = Pattern(layout.pattern.text)
    assert {name: fields for name in case.names if (fields := again.read(name)) is not None} == layout.fields
    if case.is_doubtful:
        other = Pattern(layout.other)
        assert all(other.read(name) is not None for name in layout.fields)
        assert [other.read(name) for name in layout.fields] != list(layout.fields.values())


def test_the_table_in_the_documentation_is_the_one_that_is_tested() -> None:
    text = FORMATS.read_text("utf-8")
    written = text.split(BEGIN)[1].split(END)[0].strip()
    assert written == table().strip(), "run python -m tests.name_conventions"


# ---- what cannot be argued with ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ("x_1_2", "x_1_3", "x_4_9", "x_5_9", "x_7_0"),  # most planes would have no file
        ("img_1", "img_01", "img_2"),  # two files would be one plane
        ("cat", "dog house", "IMG_2231", "a_1_2_3"),
        ("cat", "dog", "bird"),
        names_of("{uuid}", i=range(6)),
    ],
    ids=["mostly empty", "twice", "nothing alike", "unknown words", "UUIDs alone"],
)
def test_names_that_say_nothing_are_not_guessed_at(names: tuple[str, ...]) -> None:
    assert understood(names).layout is None


@pytest.mark.parametrize("case", CASES, ids=[case.convention for case in CASES])
def test_every_name_is_shown_or_left_out_and_no_plane_has_two(case: Case) -> None:
    found = understood(case.names)
    for layout in (found.layout, *found.others):
        assert layout is not None
        assert {*layout.fields, *layout.left_out} == set(case.names)
        assert len(layout.fields) + len(layout.left_out) == len(case.names)
        catalogue = FileCatalogue()
        catalogue.add((fields, name) for name, fields in layout.fields.items())
        assert not catalogue.doubles


def test_an_axis_that_tells_nothing_apart_is_none() -> None:
    """Of running numbers, random letters and dates only what is needed to tell files apart."""
    names = [
        f"{i:04d}_A{well:02d}_f{f}_{random.Random(i).getrandbits(32):08x}_14{i:02d}07"
        for i, (well, f) in enumerate((well, f) for well in range(1, 4) for f in range(4))
    ]
    layout = understood(names).layout
    assert layout is not None and layout.sizes == {"t": 1, "p": 12, "c": 1, "z": 1}
    assert not layout.left_out


@pytest.mark.parametrize(
    "clock", ["2024-03-1{d}_14h{m:02}m", "2024-03-1{d} 14h{m:02}m05s", "2024031{d}_9h{m:02}m"]
)
def test_a_date_before_a_clock_is_of_the_time(clock: str) -> None:
    """Days and minutes were z and time."""
    stamps = [clock.format(d=d, m=m) for d in (1, 2) for m in (0, 30)]
    layout = understood([f"{stamp}_pos{p}" for stamp in stamps for p in (1, 2)]).layout
    assert layout is not None and layout.sizes == {"t": 4, "p": 2, "c": 1, "z": 1}
    catalogue = FileCatalogue()
    catalogue.add((fields, name) for name, fields in layout.fields.items())
    assert catalogue.times == stamps


def test_a_run_that_was_stopped_early_is_still_understood() -> None:
    names = names_of(
        "r{r:02d}c01f{f:02d}p{z:02d}-ch{c}sk{t}fk1fl1", t=(1, 2, 3), r=(1, 2), f=(1, 2), z=(1, 2), c=(1, 2)
    )
    layout = understood(names[:-7]).layout
    assert layout is not None and layout.sizes == {"t": 3, "p": 4, "c": 2, "z": 2}


def test_very_many_names_are_understood_from_a_sample() -> None:
    names = names_of(
        "plate_{w}_s{s}_w{c}_t{t}",
        w=[f"{r}{k:02d}" for r in "ABCDEFGH" for k in range(1, 13)],
        s=range(1, 5),
        c=range(1, 5),
        t=range(1, 21),
    )
    layout = understood(names).layout
    assert layout is not None and layout.sizes == {"t": 20, "p": 384, "c": 4, "z": 1}
    assert not layout.left_out


# ---- real folders -----------------------------------------------------------------------------------


def write(folder: Path, names: Iterable[str], end: str = ".tif") -> Path:
    """An image for each name, the i-th of pixels i + 1; returns the folder."""
    for i, name in enumerate(names):
        path = folder / (name + end)
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((4, 5), i + 1, np.uint8 if end == ".png" else np.uint16)
        if end == ".png":
            PIL.Image.fromarray(pixels).save(path)
        else:
            tifffile.imwrite(path, pixels, metadata=None)
    return folder


def sizes_of(source: Source) -> dict[str, int]:
    return {axis: source.info.sizes[axis] for axis in "tpcz"}


REAL = (
    "Micro-Manager 2, folders of positions",
    "Micro-Manager 1.4, folders of positions",
    "Squid, images without its other files",
    "Opera Phenix, Operetta, from the measurement's folder",
    "Operetta, Columbus (old)",
    "ImageXpress, MetaXpress",
    "ImageXpress, times and z in folders",
    "InCell Analyzer",
    "CQ1, CQ3000",
    "ScanR, with wells",
    "IncuCyte, channels in folders",
    "Cytation, Lionheart (Gen5)",
    "MetaMorph, blanks in names",
    "Leica Matrix Screener",
    "Cell Tracking Challenge, with masks",
    "z with a sign",
    "folders of samples",
    "a projection beside a series",
    "an overview beside positions",
)


@pytest.mark.parametrize("end", [".tif", ".png"])
@pytest.mark.parametrize("convention", REAL)
def test_real_folders_show_each_file_at_its_place(
    tmp_path: Path, opened: Callable[..., Source], convention: str, end: str
) -> None:
    case = next(case for case in CASES if case.convention == convention)
    source = opened(write(tmp_path / "data", case.names, end))
    assert source.info.format == "images"
    assert sizes_of(source) == case.full_sizes
    layout = understood(case.names).layout
    assert layout is not None
    shown = [name for name in case.names if name not in case.left_out]
    catalogue = FileCatalogue()
    catalogue.add((layout.fields[name], name) for name in shown)
    for key, name in catalogue.files.items():
        assert (source.read_plane(key) == case.names.index(name) + 1).all(), name
    warnings = " ".join(source.info.warnings)
    assert all(repr(name) in warnings for name in sorted(case.left_out)[:5])
    assert ("--pattern" in warnings) == case.is_doubtful


def test_what_is_doubtful_is_said_and_the_other_choice_can_be_typed(
    tmp_path: Path, opened: Callable[..., Source]
) -> None:
    write(tmp_path, names_of("{w}/img_{t:03d}", w=("A1", "A2", "B1"), t=range(4)))
    source = opened(tmp_path)
    assert sizes_of(source) == {"t": 4, "p": 3, "c": 1, "z": 1}
    (warning,) = source.info.warnings
    pattern = warning.rpartition("--pattern ")[2].strip("'")
    other = opened(tmp_path, pattern=pattern)
    assert sizes_of(other) == {"t": 1, "p": 12, "c": 1, "z": 1}
    assert [position.label for position in other.info.positions[:2]] == ["A1:0", "A1:1"]


def test_times_in_names_give_the_time_between_frames(tmp_path: Path, opened: Callable[..., Source]) -> None:
    write(
        tmp_path,
        names_of("VID1_B2_1_{t}", t=("00d00h00m", "00d06h00m", "00d12h00m", "00d18h00m", "01d00h00m")),
    )
    info = opened(tmp_path).info
    assert (info.n_t, info.time_step_s) == (5, 6 * 3600)


def test_thumbnails_are_left_out_and_said_to_be(tmp_path: Path, opened: Callable[..., Source]) -> None:
    write(tmp_path, names_of("TimePoint_1/P_{w}_s{s}_w{c}{uuid}", w=("A01", "A02"), s=(1, 2), c=(1, 2)))
    write(tmp_path, names_of("TimePoint_1/P_{w}_s{s}_w{c}_thumb{uuid}", w=("A01", "A02"), s=(1, 2), c=(1, 2)))
    source = opened(tmp_path)
    assert sizes_of(source) == {"t": 1, "p": 4, "c": 2, "z": 1}
    assert any("8 thumbnails" in warning for warning in source.info.warnings)


def test_a_fixed_number_leaves_the_pages_of_a_file_free_to_be_z(
    tmp_path: Path, opened: Callable[..., Source]
) -> None:
    for t in (1, 2):
        stack = np.stack([np.full((4, 5), 10 * t + z, np.uint16) for z in range(3)])
        tifffile.imwrite(
            tmp_path / f"img_00000000{t}_DAPI_000.tif", stack, photometric="minisblack", metadata=None
        )
    source = opened(tmp_path)
    assert sizes_of(source) == {"t": 2, "p": 1, "c": 1, "z": 3}
    assert source.read_plane(PlaneKey(t=1, z=2)).max() == 22


def test_files_added_later_are_found_below(tmp_path: Path, opened: Callable[..., Source]) -> None:
    write(tmp_path, names_of("Pos{p}/img_{t:09d}_DAPI_000", p=(0, 1), t=(0, 1)))
    source = opened(tmp_path)
    write(tmp_path, names_of("Pos{p}/img_{t:09d}_DAPI_000", p=(0, 1, 2), t=(0, 1, 2)))
    info = source.refresh()
    assert (info.n_t, len(info.positions)) == (3, 3)
    assert source.read_plane(PlaneKey(2, 2)).max() == 9


def test_folders_with_other_images_are_said_to_be_left_out(
    tmp_path: Path, opened: Callable[..., Source]
) -> None:
    write(tmp_path, names_of("img_t{t:03d}", t=range(6)))
    write(tmp_path, ["segmented/result", "segmented/summary"])
    source = opened(tmp_path)
    assert sizes_of(source) == {"t": 6, "p": 1, "c": 1, "z": 1}
    assert any("'segmented/result'" in warning for warning in source.info.warnings)


def test_wells_in_folders_deep_below_are_found(tmp_path: Path, opened: Callable[..., Source]) -> None:
    write(
        tmp_path,
        names_of(
            "screen/plate/TimePoint_{t}/X_{w}_s{s}_w{c}", t=(1, 2), w=("A01", "B01"), s=(1, 2), c=(1, 2)
        ),
    )
    assert sizes_of(opened(tmp_path)) == {"t": 2, "p": 4, "c": 2, "z": 1}


# ---- Squid's rule is for Squid's folders --------------------------------------------------------------

SQUIDS = names_of("{r}_{f}_{z}_{c}", r=("A1", "B2"), f=(0, 1), z=(0, 1), c=("BF_LED_matrix_full", "GFP"))


@pytest.mark.parametrize(
    "names",
    [
        ("2024_01_15_cell1_DAPI", "2024_01_15_cell1_GFP"),
        tuple(f"exp_2024_01_15_t{t:03d}" for t in range(1, 13)),
    ],
)
@pytest.mark.parametrize("folder", ["data", "1"])
def test_dates_in_names_are_no_positions(
    tmp_path: Path, opened: Callable[..., Source], names: tuple[str, ...], folder: str
) -> None:
    if folder == "1" and len(names) == 2:
        pytest.skip("nothing tells these from Squid's")
    source = opened(write(tmp_path / folder, names))
    assert source.info.format == "images"
    assert [position.label for position in source.info.positions] == ["default:0"]
    assert source.info.n_t * len(source.info.channels) == len(names)


def test_a_single_file_with_a_date_has_no_position(tmp_path: Path, opened: Callable[..., Source]) -> None:
    write(tmp_path, ["2024_01_15_cell1_DAPI"])
    (position,) = opened(tmp_path / "2024_01_15_cell1_DAPI.tif").info.positions
    assert position.label == "default:0"


@pytest.mark.parametrize(
    "own",
    [
        "acquisition parameters.json",
        "acquisition_channels.yaml",
        "acquisition.yaml",
        "coordinates.csv",
        ".done",
    ],
)
def test_squids_own_files_make_a_folder_squids(
    tmp_path: Path, opened: Callable[..., Source], own: str
) -> None:
    write(tmp_path / "run", SQUIDS)
    (tmp_path / "run" / own).write_text("{}" if own.endswith("json") else "")
    source = opened(tmp_path / "run")
    assert source.info.format == "tiff images"
    assert sizes_of(source) == {"t": 1, "p": 4, "c": 2, "z": 2}


def test_numbered_folders_of_squids_names_are_squids(tmp_path: Path, opened: Callable[..., Source]) -> None:
    for t in (0, 1):
        write(tmp_path / "run" / str(t), SQUIDS)
    source = opened(tmp_path / "run")
    assert source.info.format == "tiff images"
    assert sizes_of(source) == {"t": 2, "p": 4, "c": 2, "z": 2}
    assert opened(tmp_path / "run" / "1").info.format == "tiff images"


def test_numbered_folders_of_other_names_are_not_squids(
    tmp_path: Path, opened: Callable[..., Source]
) -> None:
    write(tmp_path, [*names_of("{p}/img_t{t:03d}", p=("01", "02"), t=range(5)), "01/mean_0_1_GFP"])
    source = opened(tmp_path)
    assert source.info.format == "images"
    assert sizes_of(source) == {"t": 5, "p": 2, "c": 1, "z": 1}


def test_other_images_in_squids_folders_are_said_to_be_left_out(
    tmp_path: Path, opened: Callable[..., Source]
) -> None:
    write(tmp_path / "run" / "0", (*SQUIDS, "snapshot"))
    (tmp_path / "run" / "acquisition parameters.json").write_text("{}")
    source = opened(tmp_path / "run")
    assert any("'snapshot.tif'" in warning for warning in source.info.warnings)


def test_long_names_of_many_forms_do_not_take_for_ever() -> None:
    """Columns that are dropped must not be tried in all combinations where names do not match."""
    rng = random.Random(2)
    long = ["_".join(f"a{rng.randrange(9)}" for _ in range(25)) + f"_t{t:03d}" for t in range(60)]
    longer = ["_".join(["a1"] * 60) + f"_x{i}" for i in range(40)]
    found = understood([*long, *longer])
    assert found.layout is None or len(found.layout.fields) >= 60
