"""What MetaMorph, MetaXpress and CellVoyager write beside images counts: channels, fields, sizes, steps."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from listing_server import listing_server

from ndviewer_light import open_dataset
from ndviewer_light.errors import DatasetNotFoundError
from ndviewer_light.metadata.cellvoyager import cellvoyager_index, settings_file
from ndviewer_light.metadata.metamorph import htd_index, nd_index
from ndviewer_light.metadata.set_index import SetIndex
from ndviewer_light.model import PlaneKey, PlaneState
from ndviewer_light.sources.images.patterns import Pattern

if TYPE_CHECKING:
    from pathlib import Path

    from ndviewer_light import Dataset

METASERIES = (
    '<MetaData>\r\n<prop id="spatial-calibration-state" type="bool" value="on"/>\r\n'
    '<prop id="spatial-calibration-x" type="float" value="0.3375"/>\r\n'
    '<prop id="spatial-calibration-y" type="float" value="0.3375"/>\r\n'
    '<prop id="spatial-calibration-units" type="string" value="um"/>\r\n</MetaData>'
)


def plane(path: Path, *values: int, described: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.stack([np.full((8, 9), value, np.uint16) for value in values])
    tifffile.imwrite(
        path,
        pixels,
        photometric="minisblack",
        metadata=None,
        description=described,
        resolution=(72, 72),
        resolutionunit="INCH",
    )


def make_old(folder: Path) -> None:
    """Nothing has been written for long."""
    long_ago = time.time() - 1e6
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (long_ago, long_ago))


def states(dataset: Dataset, keys: list[tuple[int, int, int, int]]) -> str:
    """The first letters of the states: P(RESENT), A(BSENT)."""
    return "".join(plane.state.name[0] for plane in dataset.planes([PlaneKey(*k) for k in keys], wait=30))


# ---- MetaMorph ---------------------------------------------------------------------------------

STAGES = ("A01", "A02", "B01 site 2")
WAVES = ("405/DAPI_x", "GFP (dim)")


def nd(*, with_names: bool = True, stages: tuple[str, ...] = STAGES, n_t: int = 2) -> str:
    lines = [
        '"NDInfoFile", Version 1.0',
        '"Description", File recreated from images.',
        '"StartTime1", 20101216 17:42:13',
        f'"DoTimelapse", {"TRUE" if n_t > 1 else "FALSE"}',
        *([f'"NTimePoints", {n_t}'] if n_t > 1 else []),
        '"DoStage", TRUE',
        f'"NStagePositions", {len(stages)}',
        *(f'"Stage{n}", "{stage}"' for n, stage in enumerate(stages, 1)),
        '"DoWave", TRUE',
        f'"NWavelengths", {len(WAVES)}',
        *(
            f'"WaveName{n}", "{name}"\r\n"WaveDoZ{n}", {"TRUE" if n == 1 else "FALSE"}'
            for n, name in enumerate(WAVES, 1)
        ),
        '"DoZSeries", TRUE',
        '"NZSteps", 3',
        '"ZStepSize", 0,25',
        f'"WaveInFileName", {"TRUE" if with_names else "FALSE"}',
        '"EndFile"',
    ]
    return "\r\n".join(lines)


def value(w: int, s: int, t: int, z: int) -> int:
    return 1000 * w + 100 * s + 10 * t + z


def write_nd(folder: Path, stem: str = "run 1", *, with_names: bool = True, ending: str = ".TIF") -> None:
    for w, word in ((1, "1405-DAPI-x"), (2, "2GFP -dim-")):
        for s in range(1, len(STAGES) + 1):
            for t in (1, 2):
                name = f"{stem}_w{word if with_names else w}_s{s}_t{t}{ending}"
                plane(folder / name, *(value(w, s, t, z) for z in range(3 if w == 1 else 1)))
    (folder / f"{stem}.nd").write_bytes(nd(with_names=with_names).encode("latin-1"))


@pytest.mark.parametrize("with_names", [True, False])
@pytest.mark.parametrize("opened", ["", "run 1.nd", "run 1_w2{}_s3_t1.TIF"])
def test_an_nd_tells_channels_fields_and_steps(tmp_path: Path, opened: str, with_names: bool) -> None:
    write_nd(tmp_path, with_names=with_names)
    with open_dataset(tmp_path / opened.format("GFP -dim-" if with_names else "")) as dataset:
        info = dataset.info
        assert [channel.name for channel in info.channels] == list(WAVES)
        assert [position.label for position in info.positions] == ["A1:1", "A2:1", "B1:2"]
        assert (info.n_t, info.n_z, info.z_step_um) == (2, 3, pytest.approx(0.25))
        assert info.first_position == (2 if "s3" in opened else 0)
        assert (info.name, info.warnings) == ("run 1.nd", ())
        for w, s, t, z in ((1, 1, 1, 2), (1, 3, 2, 1), (2, 2, 2, 0)):
            assert int(dataset.plane(t=t - 1, p=s - 1, c=w - 1, z=z).max()) == value(w, s, t, z)


def test_an_nd_is_of_its_own_files_alone(tmp_path: Path) -> None:
    """Two sets in one folder, of which one name begins like the other; and another picture."""
    write_nd(tmp_path, "a")
    write_nd(tmp_path, "a_2")
    plane(tmp_path / "snap.TIF", 7)
    for stem in ("a", "a_2"):
        with open_dataset(tmp_path / f"{stem}.nd") as dataset:
            assert (dataset.info.n_t, len(dataset.info.positions), len(dataset.info.channels)) == (2, 3, 2)
            assert dataset.info.warnings == ()
    write_nd(tmp_path / "b", "run")
    plane(tmp_path / "b" / "snap.TIF", 7)
    with open_dataset(tmp_path / "b") as dataset:
        assert (dataset.info.name, len(dataset.info.positions)) == ("run.nd", 3)
        assert "snap.TIF" in dataset.info.warnings[0]
    with open_dataset(tmp_path) as dataset:
        assert any("a.nd" in warning and "a_2.nd" in warning for warning in dataset.info.warnings)
    with open_dataset(tmp_path / "snap.TIF") as dataset:
        assert (dataset.info.n_t, len(dataset.info.positions), len(dataset.info.channels)) == (1, 1, 1)


def test_files_that_come_later_are_added_to_an_nd(tmp_path: Path) -> None:
    write_nd(tmp_path)
    last = [path for path in tmp_path.iterdir() if path.stem.endswith("_t2")]
    kept = {path: path.read_bytes() for path in last}
    for path in last:
        path.unlink()
    with open_dataset(tmp_path / "run 1.nd") as dataset:
        assert (dataset.info.n_t, len(dataset.info.positions)) == (2, 3)  # as the index says
        assert dataset.planes([PlaneKey(t=1, p=2)])[0].state is not PlaneState.PRESENT
        for path, content in kept.items():
            path.write_bytes(content)
        assert dataset.refresh().n_t == 2
        assert int(dataset.plane(t=1, p=2, c=1).max()) == value(2, 3, 2, 0)


def test_what_an_nd_plans_is_said_to_be_missing(tmp_path: Path) -> None:
    """The run was stopped: of the second time point, one wave, and of the last stage nothing is there."""
    write_nd(tmp_path)
    for path in tmp_path.glob("*_s3_*"):
        path.unlink()
    for path in tmp_path.glob("*_w2*_t2.TIF"):
        path.unlink()
    make_old(tmp_path)
    for opened in ("", "run 1.nd"):
        with open_dataset(tmp_path / opened) as dataset:
            assert [position.label for position in dataset.info.positions] == ["A1:1", "A2:1", "B1:2"]
            assert (dataset.info.n_t, dataset.info.n_z, len(dataset.info.channels)) == (2, 3, 2)
            keys = [(0, 0, 0, 2), (1, 0, 1, 0), (0, 2, 0, 0), (0, 0, 1, 2)]
            assert states(dataset, keys) == "PAAA"


@pytest.mark.parametrize("single", [0, 1])
def test_one_channel_of_single_planes_hides_no_stacks_of_others(tmp_path: Path, single: int) -> None:
    for t in (0, 1):
        plane(tmp_path / f"img_t{t:03}_c1.tif", *([7] if single == 0 else [1, 2, 3]))
        plane(tmp_path / f"img_t{t:03}_c2.tif", *([7] if single == 1 else [1, 2, 3]))
    with open_dataset(tmp_path) as dataset:
        assert (dataset.info.n_t, dataset.info.n_z, dataset.info.warnings) == (2, 3, ())
        assert [int(dataset.plane(t=1, c=1 - single, z=z).max()) for z in range(3)] == [1, 2, 3]


def test_stages_that_are_no_wells_keep_their_names(tmp_path: Path) -> None:
    for stages in (("P1", "P2", "P3"), ("dish left", "dish right", ""), ("A1", "A1 site 1", "B2")):
        said = nd_index(nd(stages=stages), "run")
        assert [place.region for place in said.places.values()] == [""] * len(
            [each for each in stages if each]
        )
        assert [place.name for place in said.places.values()] == [each for each in stages if each]
    odd = (
        nd(stages=("A1",))
        .replace('"NWavelengths", 2', '"NWavelengths", 1')
        .replace("405/DAPI_x", "CSU [561]")
    )
    assert Pattern(nd_index(odd, "run {1}*").pattern).read("run {1}*_w1CSU [561]_s1") == {
        "c": "1CSU [561]",
        "fov": "1",
    }
    assert nd_index("<html>", "run") == SetIndex({}, {})
    write_nd(tmp_path)
    (tmp_path / "run 1.nd").write_bytes(b"\x00" * 100)
    with open_dataset(tmp_path / "run 1.nd") as dataset:  # by the names alone
        assert (dataset.info.n_t, len(dataset.info.positions), len(dataset.info.channels)) == (2, 3, 2)


def test_an_nd_on_a_server_is_opened_by_its_url(tmp_path: Path) -> None:
    """Also one of several in its folder; also where the server lists nothing, by the names that follow."""
    folder = tmp_path / "bucket" / "run"
    write_nd(folder, "run #1")
    write_nd(folder, "run #1_2", ending=".tif")
    for how in ("pages", "lists", "nothing"):
        with listing_server(tmp_path, how) as (url, _), open_dataset(f"{url}/run/run%20%231.nd") as dataset:
            assert (dataset.info.n_t, len(dataset.info.positions), dataset.info.n_z) == (2, 3, 3)
            assert dataset.info.name == "run #1.nd"
            assert int(dataset.plane(t=1, p=2, c=0, z=2).max()) == value(1, 3, 2, 2)
    write_nd(tmp_path / "bucket" / "called.nd")
    with listing_server(tmp_path, "pages") as (url, _), open_dataset(f"{url}/called.nd/") as dataset:
        assert (dataset.info.n_t, len(dataset.info.positions), dataset.info.z_step_um) == (2, 3, 0.25)
    for path in folder.glob("*.TIF"):
        path.unlink()
    missing = pytest.raises(DatasetNotFoundError, match="does not list the folder")
    with listing_server(tmp_path, "nothing") as (url, _), missing:
        open_dataset(f"{url}/run/run%20%231.nd")


def test_an_nd_that_leads_out_is_not_read(tmp_path: Path) -> None:
    write_nd(tmp_path / "a")
    (tmp_path / "a" / "run 1.nd").rename(tmp_path / "run 1.nd")
    os.symlink(tmp_path / "run 1.nd", tmp_path / "a" / "run 1.nd")
    with open_dataset(tmp_path / "a") as dataset:
        assert dataset.info.z_step_um is None
    with open_dataset(tmp_path / "a", storage_options={"follow_links": "true"}) as dataset:
        assert dataset.info.z_step_um == pytest.approx(0.25)


# ---- MetaXpress --------------------------------------------------------------------------------


def htd(n_waves: int = 2, *, wells: tuple[tuple[int, ...], ...] = (), n_t: int = 1, n_z: int = 1) -> str:
    """`wells` are the columns that are on in each row of the plate."""
    names = ("DAPI", "FITC: 1")[:n_waves]
    rows = [", ".join(str(column in row).upper() for column in range(1, 25)) for row in wells]
    return "\r\n".join(
        [
            '"HTSInfoFile", Version 1.0',
            '"Description", "plate"',
            f'"TimePoints", {n_t}',
            f'"ZSeries", {str(n_z > 1).upper()}',
            f'"ZSteps", {n_z}',
            '"XWells", 24',
            f'"YWells", {len(wells)}',
            *(f'"WellsSelection{n}", {row}' for n, row in enumerate(rows, 1)),
            '"Sites", TRUE',
            '"XSites", 2',
            '"YSites", 2',
            '"SiteSelection1", TRUE, FALSE',
            '"SiteSelection2", FALSE, TRUE',
            f'"NWavelengths", {n_waves}',
            *(f'"WaveName{n}", "{name}"\r\n"WaveCollect{n}", 1' for n, name in enumerate(names, 1)),
            '"EndFile"',
        ]
    )


@pytest.mark.parametrize("opened", ["", "Plate7.HTD", "TimePoint_1", "TimePoint_1/Plate7_B03_s2_w2.TIF"])
def test_an_htd_names_channels_and_the_images_tell_pixel_sizes(tmp_path: Path, opened: str) -> None:
    for i, (well, site, wave) in enumerate((w, s, c) for w in ("B02", "B03") for s in (1, 2) for c in (1, 2)):
        plane(tmp_path / "TimePoint_1" / f"Plate7_{well}_s{site}_w{wave}.TIF", i, described=METASERIES)
    (tmp_path / "Plate7.HTD").write_text(htd(), "latin-1")
    with open_dataset(tmp_path / opened) as dataset:
        info = dataset.info
        assert [channel.name for channel in info.channels] == ["DAPI", "FITC: 1"]
        assert [position.label for position in info.positions] == ["B02:1", "B02:2", "B03:1", "B03:2"]
        assert info.pixel_size_x_um == pytest.approx(0.3375)  # and not that of a screen
        assert int(dataset.plane(p=3, c="FITC: 1").max()) == 7


def test_one_of_several_plates_in_a_folder(tmp_path: Path) -> None:
    for n, plate in enumerate(("P1", "P2")):
        for i, (well, site) in enumerate((w, s) for w in ("A01", "B02") for s in (1, 2)):
            plane(tmp_path / f"{plate}_{well}_s{site}.TIF", 10 * n + i)
        (tmp_path / f"{plate}.HTD").write_text(htd(1))
    with open_dataset(tmp_path / "P2.HTD") as dataset:
        assert [position.label for position in dataset.info.positions] == ["A01:1", "A01:2", "B02:1", "B02:2"]
        assert [channel.name for channel in dataset.info.channels] == ["DAPI"]
        assert int(dataset.plane(p=3).max()) == 13
    with open_dataset(tmp_path) as dataset:
        assert len(dataset.info.positions) == 8
        assert any("P1.HTD" in warning for warning in dataset.info.warnings)
    assert htd_index(htd().replace("FITC: 1", "DAPI")).channels == {}


def test_plates_in_folders_are_named_from_above(tmp_path: Path) -> None:
    root = tmp_path / "bucket" / "run"
    for n, name in enumerate(("P1", "P2")):
        for i, (well, wave) in enumerate((w, c) for w in ("B02", "B03") for c in (1, 2)):
            plane(root / name / "TimePoint_1" / f"{name}_{well}_w{wave}.TIF", 10 * n + i)
        (root / name / f"{name}.HTD").write_text(htd(), "latin-1")
    with listing_server(tmp_path, "pages") as (url, _):
        for opened in (root, f"{url}/run/"):
            with open_dataset(opened) as dataset:
                assert [channel.name for channel in dataset.info.channels] == ["DAPI", "FITC: 1"]
                labels = [position.label for position in dataset.info.positions]
                assert labels == ["P1 B02:0", "P1 B03:0", "P2 B02:0", "P2 B03:0"]
                assert int(dataset.plane(p=3, c=1).max()) == 13
        with open_dataset(f"{url}/run/P2/P2.HTD") as dataset:
            assert [channel.name for channel in dataset.info.channels] == ["DAPI", "FITC: 1"]
            assert int(dataset.plane(p=1, c=1).max()) == 13
        (root / "P2" / "P2.HTD").write_text(htd().replace("DAPI", "Cy5"), "latin-1")
        for opened in (root, f"{url}/run/"):
            with open_dataset(opened) as dataset:
                assert [channel.name for channel in dataset.info.channels] == ["Ch1", "Ch2"]
                assert any("P1/P1.HTD" in warning for warning in dataset.info.warnings)


@pytest.mark.parametrize("opened", ["", "P.HTD", "TimePoint_1"])
def test_what_an_htd_plans_is_said_to_be_missing(tmp_path: Path, opened: str) -> None:
    """Stopped at the first of two time points, before the second wave of the last site of the third well."""
    there = [(w, s, c) for w in ("A02", "B01") for s in (1, 2) for c in (1, 2)][:-1]
    for i, (well, site, wave) in enumerate(there):
        plane(tmp_path / "TimePoint_1" / f"P_{well}_s{site}_w{wave}.TIF", i)
    (tmp_path / "P.HTD").write_text(htd(wells=((1, 2), (1, 3)), n_t=2))
    make_old(tmp_path)
    with open_dataset(tmp_path / opened) as dataset:
        labels = [f"{well}:{n}" for well in ("A01", "A02", "B01", "B03") for n in (1, 2)]
        assert [position.label for position in dataset.info.positions] == labels
        assert (dataset.info.n_t, dataset.info.first_position) == (1 if opened == "TimePoint_1" else 2, 2)
        keys = [(0, p, c, 0) for p in range(8) for c in (0, 1)]
        assert states(dataset, keys) == "AAAA" + "PPPPPPPA" + "AAAA"
        assert opened == "TimePoint_1" or states(dataset, [(1, 2, 0, 0)]) == "A"
        plane(tmp_path / "TimePoint_2" / "P_A02_s1_w1.TIF", 77)
        dataset.refresh()
        assert opened == "TimePoint_1" or int(dataset.plane(t=1, p=2).max()) == 77


def test_a_plan_that_the_files_do_not_fit_is_not_believed(tmp_path: Path) -> None:
    """The index is of a plate with other wells, with fewer sites, and of stacks that are not in the names."""
    for i, (well, site) in enumerate((w, s) for w in ("B02", "B03") for s in (1, 2, 3)):
        plane(tmp_path / f"P_{well}_s{site}_w1.TIF", i)
    (tmp_path / "P.HTD").write_text(htd(wells=((), (2, 4)), n_z=3, n_t=2))
    with open_dataset(tmp_path) as dataset:
        assert (len(dataset.info.positions), dataset.info.n_z, dataset.info.n_t) == (6, 1, 1)
        assert [channel.name for channel in dataset.info.channels] == ["DAPI", "FITC: 1"]
    n_one = htd(1, wells=((), (2, 3))).replace('"Sites", TRUE', '"Sites", FALSE')
    assert [each for each in htd_index(n_one).planned if "c" not in each and "t" not in each] == [
        {"region": "B02", "fov": "1"},
        {"region": "B03", "fov": "1"},
    ]


# ---- CellVoyager -------------------------------------------------------------------------------

BTS = 'xmlns:bts="http://www.yokogawa.co.jp/BTS/BTSSchema/1.0"'
DETAIL = (
    f'<?xml version="1.0"?><bts:MeasurementDetail {BTS} '
    'bts:MeasurementSettingFileName="my &amp; set.mes" bts:Title="">'
    + "".join(
        f'<bts:MeasurementChannel bts:Ch="{c}" bts:HorizontalPixelDimension="0.65" '
        'bts:VerticalPixelDimension="0.65" />'
        for c in (1, 3)
    )
    + "</bts:MeasurementDetail>"
)
SETTINGS = (
    f'<?xml version="1.0"?><bts:MeasurementSetting {BTS}><bts:LightSourceList>'
    '<bts:LightSource bts:Name="405nm" bts:WaveLength="405" /></bts:LightSourceList><bts:ChannelList>'
    '<bts:Channel bts:Ch="1" bts:Target="DNA" bts:Acquisition="BP445/45" bts:Color="#FF002FFF" '
    'bts:Kind="ConfocalFluorescence"><bts:LightSourceName>405nm</bts:LightSourceName></bts:Channel>'
    '<bts:Channel bts:Ch="3" bts:Target="" bts:Acquisition="BF" bts:Kind="Brightfield" />'
    "</bts:ChannelList></bts:MeasurementSetting>"
)


def write_cellvoyager(folder: Path) -> None:
    records = []
    for w, (row, column) in enumerate(((1, 1), (2, 3))):
        for t in (1, 2):
            for z in (1, 2, 3):
                for c in (1, 3):
                    name = f"P1_{'AB'[row - 1]}{column:02}_T{t:04}F001L01A01Z{z:02}C{c:02}.tif"
                    plane(folder / name, 1000 * w + 100 * t + 10 * z + c)
                    seconds = 10 * (t - 1) + 0.1234567 * c
                    records.append(
                        '<bts:MeasurementRecord bts:Type="IMG" '
                        f'bts:Time="2021-06-14T09:13:{seconds:010.7f}+01:00" '
                        f'bts:Column="{column}" bts:Row="{row}" bts:TimePoint="{t}" bts:FieldIndex="1" '
                        f'bts:ZIndex="{z}" bts:Z="{2.5 * z - 7}" bts:X="{-100 - w}" bts:Y="{50 + w}" '
                        f'bts:Ch="{c}">{name}</bts:MeasurementRecord>'
                    )
    (folder / "MeasurementData.mlf").write_text(f"<bts:MeasurementData {BTS}>{''.join(records)}")
    (folder / "MeasurementDetail.mrf").write_text(DETAIL)
    (folder / "my & set.mes").write_text(SETTINGS)


@pytest.mark.parametrize("opened", ["", "MeasurementData.mlf", "MeasurementDetail.mrf", "my & set.mes"])
def test_cellvoyager_tells_channels_sizes_and_steps(tmp_path: Path, opened: str) -> None:
    write_cellvoyager(tmp_path)
    with open_dataset(tmp_path / opened) as dataset:
        info = dataset.info
        assert [channel.name for channel in info.channels] == ["DNA", "BF"]
        assert [(each.color, each.excitation_nm, each.emission_nm) for each in info.channels] == [
            ("#002FFF", 405, 445),
            ("#FFFFFF", None, None),
        ]
        assert (info.pixel_size_x_um, info.z_step_um, info.time_step_s) == pytest.approx((0.65, 2.5, 10))
        assert (info.n_t, len(info.positions), info.n_z) == (2, 2, 3)
        assert [(each.x_um, each.y_um) for each in info.positions] == [(-100, -50), (-101, -51)]
        assert int(dataset.plane(t=1, p=1, c="BF", z=2).max()) == 1233


def test_what_cellvoyager_records_without_an_image_is_said_to_be_missing(tmp_path: Path) -> None:
    root = tmp_path / "bucket" / "run"
    write_cellvoyager(root)
    for gone in ("P1_A01_*", "*Z02C03.tif", "*_T0002*Z03C01.tif"):
        for path in root.glob(gone):
            path.unlink()
    make_old(root)
    with listing_server(tmp_path, "pages") as (url, _):
        for opened in (root, root / "MeasurementData.mlf", f"{url}/run/"):
            with open_dataset(opened) as dataset:
                info = dataset.info
                assert (info.n_t, len(info.positions), info.n_z, info.first_position) == (2, 2, 3, 1)
                keys = [(0, 0, 0, 0), (0, 1, 0, 0), (0, 1, 1, 1), (1, 1, 0, 2), (1, 1, 1, 2)]
                assert states(dataset, keys) == "APAAP"


@pytest.mark.parametrize("how", ["pages", "nothing"])
def test_the_records_of_cellvoyager_are_opened_by_their_url(tmp_path: Path, how: str) -> None:
    write_cellvoyager(tmp_path / "bucket" / "run")
    with (
        listing_server(tmp_path, how) as (url, _),
        open_dataset(f"{url}/run/MeasurementData.mlf") as dataset,
    ):
        info = dataset.info
        assert [channel.name for channel in info.channels] == ["DNA", "BF"]
        assert (info.n_t, len(info.positions), info.n_z, info.pixel_size_x_um) == (2, 2, 3, 0.65)
        assert info.positions[1].x_um == -101
        assert int(dataset.plane(t=1, p=1, c="BF", z=2).max()) == 1233


def test_what_cellvoyager_does_not_tell_is_unknown() -> None:
    assert cellvoyager_index("", DETAIL.replace('Dimension="0.65" />', 'Dimension="0.325" />', 1)).steps == {
        "x": 0.65
    }
    assert settings_file(DETAIL.replace("my &amp; set", "../other/set")) == ""
    assert not cellvoyager_index("", "", SETTINGS.replace('Acquisition="BF"', 'Acquisition="DNA"')).channels


@pytest.mark.parametrize("who", ["nd", "htd", "cellvoyager"])
def test_indexes_on_a_server_are_read_as_well(tmp_path: Path, who: str) -> None:
    folder = tmp_path / "bucket" / "run"
    if who == "nd":
        write_nd(folder)
    elif who == "cellvoyager":
        write_cellvoyager(folder)
    else:
        for i, (well, wave) in enumerate((w, c) for w in ("B02", "B03") for c in (1, 2)):
            plane(folder / f"Plate7_{well}_w{wave}.TIF", i)
        (folder / "Plate7.htd").write_text(htd())
    names = {"nd": WAVES, "htd": ("DAPI", "FITC: 1"), "cellvoyager": ("DNA", "BF")}[who]
    with listing_server(tmp_path, "pages") as (url, _), open_dataset(f"{url}/run/") as dataset:
        assert [channel.name for channel in dataset.info.channels] == list(names)
        assert dataset.info.z_step_um == {"nd": 0.25, "htd": None, "cellvoyager": 2.5}[who]
        dataset.plane(p=1, c=1)
