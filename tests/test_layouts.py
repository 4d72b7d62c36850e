"""Folders and small JSON files → positions in order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import stores

from ndviewer_light.errors import (
    DatasetError,
    DatasetNotFoundError,
    LimitExceededError,
    MetadataError,
    PlaneNotStoredError,
    UntrustedReferenceError,
)
from ndviewer_light.sources.zarr import layouts
from ndviewer_light.storage import limits
from ndviewer_light.storage.trees import tree as trees


def labels(path: Path | str) -> list[str]:
    return [place.position.label for place in layouts.discover(str(path)).places]


ONE = {"t": 1, "c": 1, "z": 1}
WELLS = {"B/10": 1, "A/2": 1, "AA/1": 1, "Z/1": 1, "A/10": 2, "A/1": 1, "B/9": 1}
WELLS_IN_ORDER = ["A1:0", "A2:0", "A10:0", "A10:1", "B9:0", "B10:0", "Z1:0", "AA1:0"]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("plate", ["plate.ome.zarr", "plate.zarr"])
def test_plate_is_found_from_its_experiment_with_wells_in_natural_order(
    tmp_path: Path, plate: str, version: int
) -> None:
    stores.write_plate(tmp_path / plate, WELLS, version=version, sizes=ONE)
    assert labels(tmp_path) == labels(tmp_path / plate) == WELLS_IN_ORDER
    assert layouts.discover(str(tmp_path)).format == "ome-zarr plate"


def test_fields_of_a_well_are_in_natural_order(tmp_path: Path) -> None:
    images = [{"path": str(field)} for field in (10, 2, 0, 1)]
    stores.write_group(tmp_path / "p.zarr", {"plate": {"wells": [{"path": "A/1"}]}})
    stores.write_group(tmp_path / "p.zarr/A/1", {"well": {"images": images}})
    assert labels(tmp_path / "p.zarr") == ["A1:0", "A1:1", "A1:2", "A1:10"]


def test_rows_that_are_numbers_stay_apart_from_columns(tmp_path: Path) -> None:
    stores.write_plate(tmp_path / "p.zarr", {"1/01": 1, "11/1": 1, "1/11": 1}, sizes=ONE)
    assert labels(tmp_path / "p.zarr") == ["1/01:0", "1/11:0", "11/1:0"]


def test_wells_that_are_planned_but_not_written_are_left_out(tmp_path: Path) -> None:
    stores.write_plate(tmp_path / "p.zarr", {"A/2": 1}, planned=["A/1", "B/1"], sizes=ONE)
    assert labels(tmp_path / "p.zarr") == ["A2:0"]


def test_well_without_metadata_is_read_by_its_folders(tmp_path: Path) -> None:
    stores.write_plate(tmp_path / "p.zarr", {"A/1": 1, "A/2": 3}, sizes=ONE)
    (tmp_path / "p.zarr/A/2/zarr.json").unlink()
    assert labels(tmp_path / "p.zarr") == ["A1:0", "A2:0", "A2:1", "A2:2"]


def test_broken_well_metadata_costs_a_warning_not_the_plate(tmp_path: Path) -> None:
    stores.write_plate(tmp_path / "p.zarr", {"A/1": 1, "A/2": 1}, sizes=ONE)
    broken = tmp_path / "p.zarr/A/2/zarr.json"
    broken.write_text('{"zarr_format": 3,')
    found = layouts.discover(str(tmp_path / "p.zarr"))
    assert [place.position.label for place in found.places] == ["A1:0", "A2:0"]
    assert any(str(broken) in warning for warning in found.warnings)


@pytest.mark.parametrize("time_folder", [False, True])
def test_older_plate_is_read_by_its_folders(tmp_path: Path, time_folder: bool) -> None:
    stores.write_old_plate(tmp_path / "plate.zarr", {"B/1": 1, "A/10": 1, "A/2": 2}, time_folder=time_folder)
    assert labels(tmp_path) == ["A2:0", "A2:1", "A10:0", "B1:0"]


def test_well_alone_keeps_its_name(tmp_path: Path) -> None:
    stores.write_plate(tmp_path / "p.zarr", {"C/7": 2}, sizes=ONE)
    assert labels(tmp_path / "p.zarr/C/7") == ["C7:0", "C7:1"]
    assert layouts.discover(str(tmp_path / "p.zarr/C/7")).format == "ome-zarr well"


@pytest.mark.parametrize("suffix", [".ome.zarr", ".zarr"])
@pytest.mark.parametrize("inside", ["", "zarr"])
def test_stores_per_fov_are_found_in_natural_order(tmp_path: Path, suffix: str, inside: str) -> None:
    stores.write_per_fov(tmp_path, {"manual10": 1, "manual2": 12}, suffix=suffix, sizes=ONE)
    expected = [f"manual2:{i}" for i in range(12)] + ["manual10:0"]
    assert labels(tmp_path / inside) == expected
    assert layouts.discover(str(tmp_path)).format == "ome-zarr per-fov"


def test_one_region_opens_by_itself(tmp_path: Path) -> None:
    stores.write_per_fov(tmp_path, {"r1": 2, "r2": 1}, sizes=ONE)
    assert labels(tmp_path / "zarr/r1") == ["r1:0", "r1:1"]


def test_all_regions_of_6d_stores_are_found_with_their_own_fov_counts(tmp_path: Path) -> None:
    stores.write_6d(tmp_path, {"r10": 2, "r2": 3, "r1": 1}, sizes=ONE)
    found = layouts.discover(str(tmp_path))
    assert [place.position.label for place in found.places] == [
        "r1:0",
        "r2:0",
        "r2:1",
        "r2:2",
        "r10:0",
        "r10:1",
    ]
    assert [place.p_index for place in found.places] == [0, 0, 1, 2, 0, 1]
    assert found.format == "ome-zarr 6d"


def test_older_6d_region_with_a_group_is_found(tmp_path: Path) -> None:
    stores.write_image(tmp_path / "zarr/r0/acquisition.zarr", axes="ptczyx", sizes={**ONE, "p": 3})
    assert labels(tmp_path) == ["r0:0", "r0:1", "r0:2"]


def test_broken_region_costs_a_warning_not_the_others(tmp_path: Path) -> None:
    stores.write_6d(tmp_path, {"r0": 1, "r1": 2}, sizes=ONE)
    (tmp_path / "zarr/r0/acquisition.zarr/zarr.json").write_text("[]")
    found = layouts.discover(str(tmp_path))
    assert [place.position.label for place in found.places] == ["r0:0", "r1:0", "r1:1"]
    assert len(found.warnings) == 1


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("listed", [True, False])
def test_series_of_a_collection_are_positions(tmp_path: Path, listed: bool, version: int) -> None:
    stores.write_collection(tmp_path / "c.zarr", 11, version=version, listed=listed, sizes=ONE)
    assert labels(tmp_path / "c.zarr") == [f"series:{i}" for i in range(11)]


def test_collection_keeps_the_order_its_metadata_gives(tmp_path: Path) -> None:
    stores.write_collection(tmp_path / "c.zarr", 3, sizes=ONE)
    stores.write_group(tmp_path / "c.zarr/OME", {"series": ["2", "0"]})
    assert [Path(place.store).name for place in layouts.discover(str(tmp_path / "c.zarr")).places] == [
        "2",
        "0",
    ]


@pytest.mark.parametrize("version", [2, 3])
def test_single_image_and_bare_array(tmp_path: Path, version: int) -> None:
    stores.write_image(tmp_path / "i.zarr", version=version, sizes=ONE)
    stores.create_array(tmp_path / "a.zarr", [2, 8, 9], version=version)
    assert layouts.discover(str(tmp_path / "i.zarr")).format == "ome-zarr image"
    assert layouts.discover(str(tmp_path / "a.zarr")).format == "zarr array"
    assert labels(tmp_path / "i.zarr") == labels(tmp_path / "a.zarr") == ["default:0"]


def test_folder_of_images_is_a_collection_and_of_one_that_image(tmp_path: Path) -> None:
    stores.write_image(tmp_path / "img2.ome.zarr", sizes=ONE)
    assert layouts.discover(str(tmp_path)).format == "ome-zarr image"
    stores.write_image(tmp_path / "img10.zarr", sizes=ONE)
    assert labels(tmp_path) == ["img2:0", "img10:0"]


def test_metadata_file_opens_what_it_describes(tmp_path: Path) -> None:
    stores.write_image(tmp_path / "i.zarr", sizes=ONE)
    assert layouts.recognises(str(tmp_path / "i.zarr/zarr.json"))
    assert labels(tmp_path / "i.zarr/zarr.json") == ["default:0"]


def test_left_over_locks_and_hidden_files_are_ignored(tmp_path: Path) -> None:
    stores.write_per_fov(tmp_path, {"r0": 1}, sizes=ONE)
    for junk in (".DS_Store", "._fov_0.ome.zarr", "fov_1.ome.zarr.__lock", "fov_x.zarr", "notes.txt"):
        (tmp_path / "zarr/r0" / junk).touch()
    (tmp_path / "zarr/.hidden/fov_0.zarr").mkdir(parents=True)
    assert labels(tmp_path) == ["r0:0"]


def test_array_is_found_where_datasets_path_says(tmp_path: Path) -> None:
    stores.write_image(tmp_path / "i.zarr", array_path="deep/full", sizes={"t": 3})
    image = layouts.read_image(str(tmp_path / "i.zarr"))
    assert image.array == str(tmp_path / "i.zarr/deep/full")
    assert image.size("t") == 3


def test_array_is_found_before_its_group_metadata_is_written(tmp_path: Path) -> None:
    stores.write_image(tmp_path / "i.zarr", sizes={"t": 3})
    (tmp_path / "i.zarr/zarr.json").unlink()
    image = layouts.read_image(str(tmp_path / "i.zarr"))
    assert (image.size("t"), image.provisional) == (3, True)


def test_nothing_there_yet_is_not_an_error_of_the_data(tmp_path: Path) -> None:
    with pytest.raises(PlaneNotStoredError, match="fov_0"):
        layouts.read_image(str(tmp_path / "zarr/r0/fov_0.ome.zarr"))


@pytest.mark.parametrize("made", ["", "zarr", "plate.ome.zarr", "zarr/r0", "i.zarr"])
def test_folders_without_images_are_not_found(tmp_path: Path, made: str) -> None:
    (tmp_path / made).mkdir(parents=True, exist_ok=True)
    with pytest.raises(DatasetNotFoundError, match="expected"):
        layouts.discover(str(tmp_path))


def test_other_folders_are_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "A1_0_0_BF.tiff").touch()
    (tmp_path / "zarr").mkdir()
    assert not layouts.recognises(str(tmp_path))
    assert not layouts.recognises(str(tmp_path / "0" / "A1_0_0_BF.tiff"))


@pytest.mark.parametrize("path", ["../other", "a/../../b", "C:/x", "\\\\server\\x", "a\0b"])
def test_paths_that_lead_out_are_refused(tmp_path: Path, path: str) -> None:
    stores.write_group(tmp_path / "i.zarr", stores.image_attributes(paths=[path]))
    with pytest.raises(UntrustedReferenceError, match=r"i\.zarr"):
        layouts.discover(str(tmp_path / "i.zarr"))
    stores.write_group(tmp_path / "p.zarr", {"plate": {"wells": [{"path": path}]}})
    [well] = layouts.discover(str(tmp_path / "p.zarr")).places
    with pytest.raises(UntrustedReferenceError):
        well.check()


NESTED = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        pytest.param(b"", MetadataError, "is empty", id="empty"),
        pytest.param(b'{"zarr_format": 3, "node', MetadataError, "truncated after 24", id="truncated"),
        pytest.param('{"µ": 1} x'.encode(), MetadataError, "byte 10", id="trailing, in bytes not letters"),
        pytest.param('{"a": 1}'.encode("utf-16"), MetadataError, "UTF-8", id="utf-16"),
        pytest.param(b'{"a": nan}', MetadataError, "not valid JSON", id="nan"),
        pytest.param(b'{"shape": [1], "shape": [2]}', MetadataError, "'shape' appears twice", id="duplicate"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", MetadataError, "not valid JSON", id="long number"),
        pytest.param(b"[1, 2]", MetadataError, "list", id="list"),
        pytest.param(NESTED.encode(), LimitExceededError, "100000 levels", id="nested"),
        pytest.param(b'{"a": "' + b"x" * 17 * 2**20 + b'"}', LimitExceededError, "bytes", id="huge"),
    ],
)
def test_bad_json_is_refused_with_file_and_place(
    tmp_path: Path, content: bytes, error: type[Exception], says: str
) -> None:
    store = tmp_path / "i.zarr"
    store.mkdir()
    (store / "zarr.json").write_bytes(content)
    assert layouts.recognises(str(store))
    with pytest.raises(error, match=says) as raised:
        layouts.discover(str(store))
    assert str(store / "zarr.json") in str(raised.value)


def test_brackets_in_strings_are_not_depth() -> None:
    text = json.dumps({"note": "[" * 500 + '\\"{'})
    assert limits.parse_json(text.encode(), "x") == json.loads(text)


def test_byte_order_mark_is_accepted() -> None:
    assert limits.parse_json(b'\xef\xbb\xbf{"a": 1}', "x") == {"a": 1}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system")
def test_pipe_in_place_of_metadata_does_not_hang(tmp_path: Path) -> None:
    (tmp_path / "i.zarr").mkdir()
    os.mkfifo(tmp_path / "i.zarr/zarr.json")
    with pytest.raises(DatasetError, match="not a regular file"):
        layouts.discover(str(tmp_path / "i.zarr"))


AS_NOBODY = """
import os, sys
from ndviewer_light.sources.zarr import layouts as layouts
os.geteuid() == 0 and os.setuid(65534)  # root may read everything
try:
    layouts.discover(sys.argv[1])
except PermissionError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no permission bits")
def test_forbidden_metadata_says_so() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own lie in a folder closed to others
        os.chmod(folder, 0o755)
        stores.write_image(f"{folder}/i.zarr", sizes=ONE)
        os.chmod(f"{folder}/i.zarr/zarr.json", 0)
        command = [sys.executable, "-c", AS_NOBODY, f"{folder}/i.zarr"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stdout == f"no permission to read {folder}/i.zarr/zarr.json\n", done.stderr


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "MAX_DIRECTORY_ENTRIES", 3)
    for name in "abcd":
        (tmp_path / "zarr" / name).mkdir(parents=True)
    with pytest.raises(DatasetError, match="more than 3"):
        layouts.discover(str(tmp_path / "zarr"))


COUNT_OPENS = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
from ndviewer_light.sources.zarr.source import ZarrSource
del opened[:]
source = ZarrSource.open(sys.argv[1])
inside = [path for path in opened if str(path).startswith(sys.argv[1])]
print(len(source.info.positions), len(inside), "tensorstore" in sys.modules)
"""


def test_opening_a_large_plate_reads_plate_wells_and_one_image(tmp_path: Path) -> None:
    rows, columns = [chr(65 + i) for i in range(16)], range(1, 25)
    wells = [f"{row}/{column}" for row in rows for column in columns]
    stores.write_group(tmp_path, {"plate": {"wells": [{"path": path} for path in wells]}})
    for path in wells:
        stores.write_group(tmp_path / path, {"well": {"images": [{"path": str(i)} for i in range(25)]}})
    stores.write_image(tmp_path / "A/1/0", sizes=ONE)
    done = subprocess.run(
        [sys.executable, "-c", COUNT_OPENS, str(tmp_path)], capture_output=True, text=True, check=True
    )
    positions, opened, uses_tensorstore = done.stdout.split()
    assert int(positions) == 384 * 25
    assert int(opened) <= 1 + 384 + 4
    assert uses_tensorstore == "False"
