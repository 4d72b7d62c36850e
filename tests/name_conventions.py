"""How instruments and programs name their files, and what such names mean: the cases, and the table of them.

``python tests/name_conventions.py`` writes the table into docs/formats.md; a test holds the two together.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORMATS = Path(__file__).parent.parent / "docs" / "formats.md"
BEGIN, END = "<!-- conventions: begin -->", "<!-- conventions: end -->"


def names_of(form: str, **values: Sequence[Any]) -> tuple[str, ...]:
    """All names of a form, in Python's own way of writing them; ``{uuid}`` is a new one in each."""
    combined: list[dict[str, Any]] = [{}]
    for name, choices in values.items():
        combined = [{**known, name: value} for known in combined for value in choices]
    return tuple(form.format(**fields, uuid=uuid(form, i)) for i, fields in enumerate(combined))


def uuid(*seed: object) -> str:
    """A UUID as MetaXpress writes them, always the same for a seed."""
    digits = "".join(random.Random(repr(seed)).choices("0123456789ABCDEF", k=32))
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


@dataclass(frozen=True)
class Case:
    """Names (without endings) that somebody's program gives, and what they mean.

    `sizes` of the axes that are longer than 1; names of channels, labels of the first positions, z and times
    as the names have them, where they say something. `left_out` are files that belong to nothing.
    """

    convention: str
    names: tuple[str, ...]
    sizes: Mapping[str, int]
    channels: tuple[str, ...] = ()
    positions: tuple[str, ...] = ()
    z: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    is_doubtful: bool = False
    example: str = field(default="")

    @property
    def full_sizes(self) -> dict[str, int]:
        """Of all four axes."""
        return {axis: self.sizes.get(axis, 1) for axis in "tpcz"}


TWO, THREE, FIRST_TWO, FIRST_THREE = (0, 1), (0, 1, 2), (1, 2), (1, 2, 3)
WELLS = ("B02", "B03", "C02")

CASES = (
    # ---- Micro-Manager, Squid
    Case(
        "Micro-Manager 2, files",
        names_of(
            "img_channel{c:03d}_position{p:03d}_time{t:09d}_z{z:03d}", c=TWO, p=THREE, t=TWO, z=(0, 1, 2, 3)
        ),
        {"c": 2, "p": 3, "t": 2, "z": 4},
        channels=("Ch0", "Ch1"),
        positions=("default:0", "default:1"),
    ),
    Case(
        "Micro-Manager 2, folders of positions",
        tuple(
            f"Pos{p}/img_channel{c:03d}_position{p:03d}_time{t:09d}_z000"
            for p in THREE
            for c in TWO
            for t in TWO
        ),
        {"c": 2, "p": 3, "t": 2},
    ),
    Case(
        "Micro-Manager 2, folders of wells",
        tuple(
            f"{well}-Site_{s}/img_channel{c:03d}_position{2 * w + s:03d}_time000000000_z000"
            for w, well in enumerate(("A1", "A2", "B1"))
            for s in TWO
            for c in TWO
        ),
        {"c": 2, "p": 6},
        positions=("A1:0", "A1:1", "A2:2"),
    ),
    Case(
        "Micro-Manager 1.4, files",
        names_of("img_{t:09d}_{c}_{z:03d}", t=THREE, c=("DAPI", "GFP"), z=TWO),
        {"t": 3, "c": 2, "z": 2},
        channels=("DAPI", "GFP"),
    ),
    Case(
        "Micro-Manager 1.4, folders of positions",
        names_of("Pos{p}/img_{t:09d}_{c}_{z:03d}", p=TWO, t=THREE, c=("DAPI", "GFP"), z=TWO),
        {"p": 2, "t": 3, "c": 2, "z": 2},
        channels=("DAPI", "GFP"),
    ),
    Case(
        "Micro-Manager 1.4, channel without a name",
        names_of("img_{t:09d}__{z:03d}", t=THREE, z=TWO),
        {"t": 3, "z": 2},
    ),
    Case(
        "Squid, images without its other files",
        names_of(
            "{r}_{f}_{z}_{c}",
            r=("A1", "B12"),
            f=TWO,
            z=TWO,
            c=("BF_LED_matrix_full", "Fluorescence_405_nm_Ex"),
        ),
        {"p": 4, "z": 2, "c": 2},
        channels=("BF_LED_matrix_full", "Fluorescence_405_nm_Ex"),
        positions=("A1:0", "A1:1", "B12:0"),
    ),
    # ---- plates
    Case(
        "Opera Phenix, Operetta",
        names_of(
            "r{r:02d}c{k:02d}f{f:02d}p{z:02d}-ch{c}sk{t}fk1fl1",
            r=FIRST_TWO,
            k=(3, 11),
            f=FIRST_TWO,
            z=FIRST_THREE,
            c=FIRST_TWO,
            t=FIRST_TWO,
        ),
        {"p": 8, "z": 3, "c": 2, "t": 2},
        channels=("Ch1", "Ch2"),
        positions=("A3:1", "A3:2", "A11:1", "A11:2", "B3:1"),
    ),
    Case(
        "Opera Phenix, Operetta, from the measurement's folder",
        names_of(
            "Images/r{r:02d}c{k:02d}f{f:02d}p01-ch{c}sk1fk1fl1",
            r=FIRST_TWO,
            k=FIRST_THREE,
            f=FIRST_TWO,
            c=FIRST_TWO,
        ),
        {"p": 12, "c": 2},
        positions=("A1:1", "A1:2", "A2:1"),
    ),
    Case(
        "Opera Phenix, several measurements",
        names_of("plate{m}/Images/r{r:02d}c01f01p01-ch{c}sk1fk1fl1", m=FIRST_TWO, r=FIRST_TWO, c=FIRST_TWO),
        {"p": 4, "c": 2},
        positions=("plate1 A1:1", "plate1 B1:1", "plate2 A1:1"),
    ),
    Case(
        "Operetta, Columbus (old)",
        names_of(
            "{r:03d}{k:03d}-{f}-{z:03d}001{c:03d}",
            r=FIRST_TWO,
            k=(1, 12),
            f=FIRST_TWO,
            z=FIRST_THREE,
            c=FIRST_TWO,
        ),
        {"p": 8, "z": 3, "c": 2},
        positions=("A1:1", "A1:2", "A12:1"),
    ),
    Case(
        "ImageXpress, MetaXpress",
        names_of("Plate1_{w}_s{s}_w{c}{uuid}", w=WELLS, s=FIRST_TWO, c=FIRST_THREE),
        {"p": 6, "c": 3},
        channels=("Ch1", "Ch2", "Ch3"),
        positions=("B02:1", "B02:2", "B03:1"),
    ),
    Case(
        "ImageXpress, without UUIDs",
        names_of("{w}_s{s}_w{c}", w=WELLS, s=FIRST_TWO, c=FIRST_THREE),
        {"p": 6, "c": 3},
        positions=("B02:1",),
    ),
    Case(
        "ImageXpress, one site",
        names_of("Plate1_{w}_w{c}{uuid}", w=WELLS, c=FIRST_THREE),
        {"p": 3, "c": 3},
        positions=("B02:0", "B03:0", "C02:0"),
    ),
    Case(
        "ImageXpress, one wavelength",
        names_of("Plate1_{w}_s{s}{uuid}", w=WELLS, s=FIRST_TWO),
        {"p": 6},
        positions=("B02:1", "B02:2"),
    ),
    Case(
        "ImageXpress, times and z in folders",
        names_of(
            "TimePoint_{t}/ZStep_{z}/Plate1_{w}_s{s}_w{c}{uuid}",
            t=FIRST_TWO,
            z=FIRST_THREE,
            w=WELLS,
            s=FIRST_TWO,
            c=FIRST_TWO,
        ),
        {"t": 2, "z": 3, "p": 6, "c": 2},
        positions=("B02:1",),
    ),
    Case(
        "ImageXpress, z in names",
        names_of("TimePoint_1/{w}_s{s}_w{c}_z{z}", w=WELLS, s=FIRST_TWO, c=FIRST_TWO, z=FIRST_THREE),
        {"z": 3, "p": 6, "c": 2},
    ),
    Case(
        "InCell Analyzer",
        names_of(
            "{r} - {k:02d}(fld {f} wv {c} z {z} time {t} - 400ms)",
            r="AB",
            k=FIRST_TWO,
            f=FIRST_TWO,
            c=("DAPI - DAPI", "FITC - FITC"),
            z=FIRST_TWO,
            t=FIRST_THREE,
        ),
        {"p": 8, "c": 2, "z": 2, "t": 3},
        channels=("DAPI - DAPI", "FITC - FITC"),
        positions=("A01:1", "A01:2", "A02:1"),
    ),
    Case(
        "InCell Analyzer, one time",
        names_of(
            "{r} - {k:02d}(fld {f:02d} wv {c})",
            r="AB",
            k=FIRST_TWO,
            f=FIRST_TWO,
            c=("UV - DAPI", "390 - Blue"),
        ),
        {"p": 8, "c": 2},
        channels=("390 - Blue", "UV - DAPI"),
    ),
    Case(
        "InCell Analyzer, brightfield over time",
        names_of("H - {k}(fld {f} z 1- time {t} - 0 ms)", k=(1, 12), f=FIRST_TWO, t=FIRST_THREE),
        {"p": 4, "t": 3},
        positions=("H1:1", "H1:2", "H12:1"),
    ),
    Case(
        "CellVoyager CV7000",
        names_of(
            "AssayPlate_Greiner_#781091_{w}_T{t:04d}F{f:03d}L01A01Z{z:02d}C{c:02d}",
            w=("A01", "B11"),
            t=FIRST_TWO,
            f=FIRST_TWO,
            z=FIRST_TWO,
            c=FIRST_TWO,
        ),
        {"p": 4, "t": 2, "z": 2, "c": 2},
        positions=("A01:1", "A01:2", "B11:1"),
    ),
    Case(
        "CellVoyager CV8000, an action for each channel",
        tuple(
            f"Plate_{w}_T0001F{f:03d}L01A{a:02d}Z01C{a:02d}"
            for w in ("A01", "A02")
            for f in FIRST_TWO
            for a in FIRST_THREE
        ),
        {"p": 4, "c": 3},
    ),
    Case(
        "CQ1, CQ3000",
        names_of(
            "Image/W{w:04d}F{f:04d}T{t:04d}Z{z:03d}C{c}",
            w=(1, 14),
            f=FIRST_TWO,
            t=FIRST_TWO,
            z=FIRST_TWO,
            c=FIRST_TWO,
        ),
        {"p": 4, "t": 2, "z": 2, "c": 2},
        positions=("W1:1", "W1:2", "W14:1"),
    ),
    Case(
        "ScanR",
        names_of(
            "--W{w:05d}--P{p:05d}--Z{z:05d}--T{t:05d}--{c}",
            w=(1, 2, 26),
            p=FIRST_TWO,
            z=TWO,
            t=TWO,
            c=("dapi", "gfp"),
        ),
        {"p": 6, "z": 2, "t": 2, "c": 2},
        channels=("dapi", "gfp"),
        positions=("W1:1", "W1:2", "W2:1"),
    ),
    Case(
        "ScanR, with wells",
        tuple(
            f"data/{well}--W{w:05d}--P{p:05d}--Z00000--T{t:05d}--{c}"
            for w, well in ((1, "A1"), (2, "A2"), (26, "B2"))
            for p in range(1, 2 + w % 2)
            for t in TWO
            for c in ("nucleus-dapi", "pm-647")
        ),
        {"p": 4, "t": 2, "c": 2},
        channels=("nucleus-dapi", "pm-647"),
        positions=("A1:1", "A1:2", "A2:1", "B2:1"),
    ),
    Case(
        "IncuCyte",
        names_of(
            "VID1630_{w}_{f}_{t}", w=("B2", "B3"), f=FIRST_TWO, t=("00d00h00m", "00d06h00m", "01d00h00m")
        ),
        {"p": 4, "t": 3},
        positions=("B2:1", "B2:2", "B3:1"),
        times=("00d00h00m", "00d06h00m", "01d00h00m"),
    ),
    Case(
        "IncuCyte, channels in folders",
        names_of(
            "{c}/VID1630_{w}_{f}_{t}",
            c=("phase", "red"),
            w=("B2", "B3"),
            f=FIRST_TWO,
            t=("00d00h00m", "00d06h00m"),
        ),
        {"c": 2, "p": 4, "t": 2},
        channels=("phase", "red"),
    ),
    Case(
        "IncuCyte, by date",
        names_of(
            "R2_{c}_{w}_{f}_{t}",
            c=("Green", "Phase"),
            w=("C04",),
            f=FIRST_TWO,
            t=("2026y10m05d_14h30m", "2026y10m05d_16h30m"),
        ),
        {"c": 2, "p": 2, "t": 2},
        channels=("Green", "Phase"),
        positions=("C04:1", "C04:2"),
    ),
    Case(
        "Cytation, Lionheart (Gen5)",
        tuple(
            f"{w}_02_{i}_{f}_{c}_{t:03d}"
            for w in ("A1", "B12")
            for i, c in enumerate(("Bright Field", "GFP", "Texas Red"), 1)
            for f in (1, 2, 3, 4)
            for t in FIRST_TWO
        ),
        {"p": 8, "c": 3, "t": 2},
        channels=("Bright Field", "GFP", "Texas Red"),
        positions=("A1:1", "A1:2"),
    ),
    Case(
        "Cytation, z",
        names_of("B3_02_1_{f}Z{z}_Bright Field_001", f=FIRST_TWO, z=(0, 1, 2, 10)),
        {"p": 2, "z": 4},
        channels=("Bright Field",),
        z=("0", "1", "2", "10"),
    ),
    Case(
        "Cytation, stitched",
        names_of(
            "{w}_-2_{c}_001", w=("E1", "E2"), c=("1_1_Stitched[GFP 469,525]", "2_1_Stitched[RFP 531,593]")
        ),
        {"p": 2, "c": 2},
        channels=("Stitched[GFP 469,525]", "Stitched[RFP 531,593]"),
    ),
    Case(
        "CellInsight, ArrayScan",
        names_of("AS_09125_050116000001_{w}f{f:02d}d{c}", w=("A01", "O14"), f=(0, 1, 12), c=THREE),
        {"p": 6, "c": 3},
        positions=("A01:0", "A01:1", "A01:12"),
    ),
    Case(
        "EVOS",
        names_of("scan_Plate_R_p{t:02d}_0_{w}f{f:02d}d{c}", t=TWO, w=("A01", "H12"), f=(0, 25), c=(0, 4)),
        {"t": 2, "p": 4, "c": 2},
        positions=("A01:0", "A01:25", "H12:0"),
    ),
    Case(
        "EVOS, z",
        names_of("run_Plate_R_p{t:02d}_z{z:02d}_0_{w}f00d{c}", t=TWO, z=THREE, w=("A01", "C01"), c=(0, 4)),
        {"t": 2, "z": 3, "p": 2, "c": 2},
    ),
    Case(
        "Keyence BZ-X",
        names_of(
            "Image_T{t:04d}_XY{p:02d}_Z{z:03d}_CH{c}", t=FIRST_TWO, p=FIRST_TWO, z=FIRST_THREE, c=FIRST_TWO
        ),
        {"t": 2, "p": 2, "z": 3, "c": 2},
    ),
    Case(
        "Keyence BZ-X, tiles",
        names_of("1_XY{p:02d}_{f:05d}_Z{z:03d}_CH{c}", p=FIRST_TWO, f=FIRST_THREE, z=FIRST_TWO, c=FIRST_TWO),
        {"p": 6, "z": 2, "c": 2},
        positions=("01:1", "01:2", "01:3", "02:1"),
    ),
    Case(
        "Keyence BZ-X, with overlays",
        (
            *names_of("Image_XY{p:02d}_CH{c}", p=FIRST_TWO, c=FIRST_TWO),
            *names_of("Image_XY{p:02d}_Overlay", p=FIRST_TWO),
        ),
        {"p": 2, "c": 2},
        left_out=("Image_XY01_Overlay", "Image_XY02_Overlay"),
    ),
    Case(
        "Human Protein Atlas",
        names_of("12_{w}_{f}_{c}", w=("A1", "B3"), f=FIRST_TWO, c=("blue", "green", "red", "yellow")),
        {"p": 4, "c": 4},
        channels=("blue", "green", "red", "yellow"),
        positions=("A1:1", "A1:2", "B3:1"),
    ),
    Case(
        "Human Protein Atlas, a UUID for each image",
        tuple(f"{uuid(i).lower()}_{c}" for i in range(5) for c in ("blue", "green", "red", "yellow")),
        {"p": 5, "c": 4},
        channels=("blue", "green", "red", "yellow"),
    ),
    Case(
        "BBBC021",
        names_of(
            "Week1_22123/Week1_150607_{w}_s{s}_w{c}{uuid}", w=("B02", "C11"), s=(1, 2, 3, 4), c=(1, 2, 4)
        ),
        {"p": 8, "c": 3},
        channels=("Ch1", "Ch2", "Ch4"),
    ),
    Case(
        "BBBC022",
        tuple(
            f"20585w{c}/IXMtest_{w}_s{s}_w{c}{uuid(w, s, c)}"
            for w in ("A01", "P24")
            for s in FIRST_THREE
            for c in (1, 2, 3, 4, 5)
        ),
        {"p": 6, "c": 5},
        positions=("A01:1",),
    ),
    Case(
        "BBBC006",
        names_of(
            "BBBC006_v1_images_z_{z:02d}/mcf-z-stacks-03212011_{w}_s{s}_w{c}{uuid}",
            z=THREE,
            w=("a01", "p24"),
            s=FIRST_TWO,
            c=FIRST_TWO,
        ),
        {"z": 3, "p": 4, "c": 2},
        positions=("a01:1", "a01:2"),
    ),
    Case(
        "Cell Painting, a folder for each dye",
        tuple(
            f"24277-{dye}/taoe005-u2os-72h-cp-a-au00044859_{w}_s{s}_w{c}{uuid(w, s, c)}"
            for c, dye in enumerate(("Hoechst", "ERSyto", "Mito"), 1)
            for w in ("a01", "b02")
            for s in FIRST_TWO
        ),
        {"p": 4, "c": 3},
    ),
    # ---- microscopes
    Case(
        "MetaMorph",
        names_of("exp_{c}_s{s}_t{t}", c=("w1DAPI", "w2GFP"), s=FIRST_TWO, t=(9, 10)),
        {"c": 2, "p": 2, "t": 2},
        channels=("DAPI", "GFP"),
        times=("9", "10"),
    ),
    Case(
        "MetaMorph, blanks in names",
        names_of("exp_{c}_s{s}_t{t}", c=("w1Conf 405", "w2Conf 488", "w3Trans"), s=FIRST_TWO, t=FIRST_THREE),
        {"c": 3, "p": 2, "t": 3},
        channels=("Conf 405", "Conf 488", "Trans"),
    ),
    Case(
        "MetaMorph, spinning disk",
        names_of("exp_{c}_t{t}", c=("w1CSU488", "w2CSU561"), t=FIRST_THREE),
        {"c": 2, "t": 3},
        channels=("CSU488", "CSU561"),
    ),
    Case(
        "MetaMorph, wavelengths",
        names_of("clone3-1_post_{c}_s{s}_t{t}", c=("w1561", "w2488"), s=FIRST_TWO, t=FIRST_TWO),
        {"c": 2, "p": 2, "t": 2},
        channels=("488", "561"),
    ),
    Case(
        "ThorImage",
        names_of("Chan{c}_0001_0001_{z:04d}_{t:04d}", c="AB", z=FIRST_THREE, t=(1, 2, 3, 4)),
        {"c": 2, "z": 3, "t": 4},
        channels=("ChanA", "ChanB"),
    ),
    Case(
        "PrairieView, time series",
        names_of("TSeries-01012020-1234-001_Cycle00001_Ch{c}_{t:06d}", c=FIRST_TWO, t=(1, 2, 3, 4)),
        {"c": 2, "t": 4},
    ),
    Case(
        "PrairieView, stacks over time",
        names_of(
            "ZSeries-01012020-1234-001_Cycle{t:05d}_Ch{c}_{z:06d}", t=FIRST_TWO, c=FIRST_TWO, z=FIRST_THREE
        ),
        {"t": 2, "c": 2, "z": 3},
    ),
    Case(
        "Leica LAS",
        names_of("Series003_t{t:02d}_z{z:02d}_ch{c:02d}", t=TWO, z=THREE, c=TWO),
        {"t": 2, "z": 3, "c": 2},
    ),
    Case(
        "Leica LAS X, positions",
        names_of("Project_Position{p:03d}_t{t:02d}_z{z}_ch{c:02d}", p=FIRST_TWO, t=TWO, z=THREE, c=TWO),
        {"p": 2, "t": 2, "z": 3, "c": 2},
    ),
    Case(
        "Leica Matrix Screener",
        names_of(
            "slide--S00/chamber--U{u:02d}--V{v:02d}/field--X{x:02d}--Y00/image--L0000--S00--U{u:02d}--V{v:02d}"
            "--J07--E00--O00--X{x:02d}--Y00--T{t:04d}--Z{z:02d}--C{c:02d}",
            u=(0, 2),
            v=TWO,
            x=TWO,
            t=TWO,
            z=TWO,
            c=TWO,
        ),
        {"p": 8, "t": 2, "z": 2, "c": 2},
        positions=("A1 X00--Y00:0", "A1 X01--Y00:0", "A3 X00--Y00:0"),
    ),
    Case(
        "ZEN",
        names_of(
            "Experiment-01_s{s:02d}t{t:02d}z{z:02d}c{c}_ORG",
            s=FIRST_TWO,
            t=FIRST_TWO,
            z=FIRST_TWO,
            c=FIRST_TWO,
        ),
        {"p": 2, "t": 2, "z": 2, "c": 2},
    ),
    Case(
        "ZEN, tiles",
        names_of("Exp-01_b0s{s}t{t}z{z}c{c}x0-1344y0-1024", s=TWO, t=TWO, z=TWO, c=TWO),
        {"p": 2, "t": 2, "z": 2, "c": 2},
    ),
    Case(
        "Olympus FluoView, cellSens",
        names_of("s_C{c:03d}Z{z:03d}T{t:03d}", c=FIRST_TWO, z=FIRST_THREE, t=FIRST_TWO),
        {"c": 2, "z": 3, "t": 2},
    ),
    Case(
        "NIS-Elements",
        names_of("Exp2t{t:02d}xy{p:02d}z{z:02d}c{c}", t=FIRST_TWO, p=FIRST_TWO, z=FIRST_TWO, c=FIRST_TWO),
        {"t": 2, "p": 2, "z": 2, "c": 2},
    ),
    Case(
        "NIS-Elements JOBS",
        tuple(
            f"Well{w}_Point{w}_{f:04d}_Channel{c}_Seq{i:04d}"
            for i, (w, f) in enumerate([(w, f) for w in ("A01", "B01") for f in TWO])
            for c in ("DAPI", "GFP")
        ),
        {"p": 4, "c": 2},
        channels=("DAPI", "GFP"),
        positions=("A01:0", "A01:1", "B01:0"),
    ),
    Case(
        "DeltaVision, by wavelength",
        names_of("cell_R3D_D3D_w{c}_z{z:02d}", c=(435, 523), z=FIRST_THREE),
        {"c": 2, "z": 3},
        channels=("435", "523"),
    ),
    Case(
        "mesoSPIM",
        names_of("Mag1x_Tile{p}_Ch{c}_Sh{s}_Rot0", p=THREE, c=(488, 561), s=TWO),
        {"p": 6, "c": 2},
        channels=("488", "561"),
    ),
    Case(
        "OpenSPIM, BigStitcher",
        names_of("spim_TL{t}_Angle{a}_Ch{c}", t=THREE, a=(0, 90, 180), c=TWO),
        {"t": 3, "p": 3, "c": 2},
    ),
    Case(
        "SiMView",
        names_of("SPM00/TM{t:05d}/SPC00_TM{t:05d}_ANG000_CM{m}_CHN{c:02d}_PH0", t=THREE, m=TWO, c=TWO),
        {"t": 3, "p": 2, "c": 2},
    ),
    Case(
        "UltraMicroscope, tiles",
        names_of(
            "16-22-16_brain[{r:02d} x {x:02d}]_C{c:02d}_xyz-Table Z{z:04d}", r=TWO, x=TWO, c=TWO, z=THREE
        ),
        {"p": 4, "c": 2, "z": 3},
        positions=("00:0", "00:1", "01:0"),
    ),
    Case(
        "TeraStitcher",
        names_of("{y:06d}/{y:06d}_{x:06d}/{y:06d}_{x:06d}_{z:06d}", y=(0, 9000), x=(0, 9000), z=(0, 20, 40)),
        {"p": 4, "z": 3},
        positions=("000000:0", "000000:9000"),
    ),
    Case(
        "SmartSPIM",
        names_of(
            "Ex_{c}/{x}/{x}_{y}/{z:06d}",
            c=("488_Em_525", "561_Em_600"),
            x=(431690, 463690),
            y=(431690, 463690),
            z=(0, 20, 40),
        ),
        {"p": 4, "c": 2, "z": 3},
        channels=("488", "561"),
        positions=("431690:431690", "431690:463690"),
    ),
    Case(
        "CODEX (Akoya), cycles as times",
        names_of(
            "cyc{t:03d}_reg{r:03d}/{r}_{p:05d}_Z{z:03d}_CH{c}",
            t=FIRST_THREE,
            r=FIRST_TWO,
            p=FIRST_TWO,
            z=FIRST_TWO,
            c=(1, 2, 3, 4),
        ),
        {"t": 3, "p": 4, "z": 2, "c": 4},
        positions=("001:1", "001:2", "002:1"),
    ),
    # ---- programs and collections
    Case("ImageJ, channels", names_of("C{c}-img", c=FIRST_THREE), {"c": 3}),
    Case(
        "ImageJ, channels in folders",
        tuple(f"channel{c}/C{c}-img_t{t}" for c in FIRST_TWO for t in FIRST_THREE),
        {"c": 2, "t": 3},
    ),
    Case("ImageJ, image sequence", names_of("stack{t:04d}", t=range(12)), {"t": 12}),
    Case(
        "Cell Tracking Challenge",
        names_of("{p}/t{t:03d}", p=("01", "02"), t=range(5)),
        {"p": 2, "t": 5},
        positions=("default:1", "default:2"),
    ),
    Case(
        "Cell Tracking Challenge, with masks",
        (
            *names_of("{p}/t{t:03d}", p=("01", "02"), t=range(5)),
            *names_of("{p}_GT/SEG/man_seg{t:03d}", p=("01", "02"), t=(2,)),
            *names_of("{p}_GT/TRA/man_track{t:03d}", p=("01", "02"), t=range(5)),
        ),
        {"p": 2, "t": 5},
        left_out=(
            *names_of("{p}_GT/SEG/man_seg{t:03d}", p=("01", "02"), t=(2,)),
            *names_of("{p}_GT/TRA/man_track{t:03d}", p=("01", "02"), t=range(5)),
        ),
    ),
    # ---- by words and numbers alone
    Case("time", names_of("img_t{t:03d}_c{c}_z{z}", t=TWO, c=TWO, z=THREE), {"t": 2, "c": 2, "z": 3}),
    Case(
        "z with a sign",
        names_of("img_t{t}_z{z}", t=TWO, z=(-2, -1, 0, 1)),
        {"t": 2, "z": 4},
        z=("-2", "-1", "0", "1"),
    ),
    Case(
        "z with decimals",
        names_of("img_z{z}", z=(0.0, 0.5, 1.0, 10.5)),
        {"z": 4},
        z=("0", "0.5", "1", "10.5"),
    ),
    Case(
        "z in µm",
        names_of("img_{z}um_{c}", z=(-5, 0, 5), c=("DAPI", "GFP")),
        {"z": 3, "c": 2},
        z=("-5", "0", "5"),
    ),
    Case(
        "times in hours",
        names_of("plate_{t}h_{c}", t=(0, 6, 12), c=("DAPI", "GFP")),
        {"t": 3, "c": 2},
        times=("0", "6", "12"),
    ),
    Case(
        "folders of wells",
        names_of("{w}/img_{t:03d}", w=("A1", "A2", "B1"), t=range(4)),
        {"p": 3, "t": 4},
        positions=("A1:0", "A2:0", "B1:0"),
        is_doubtful=True,
    ),
    Case(
        "folders of samples",
        names_of("{w}/img_{t:03d}", w=("control", "treated"), t=range(4)),
        {"p": 2, "t": 4},
        positions=("control:0", "treated:0"),
        is_doubtful=True,
    ),
    Case(
        "folders of unknown words",
        names_of("{w}/t{t:03d}_{c}", w=("anna", "bertha"), t=range(4), c=("DAPI", "GFP")),
        {"p": 2, "t": 4, "c": 2},
        positions=("anna:0", "bertha:0"),
        channels=("DAPI", "GFP"),
        is_doubtful=True,
    ),
    Case(
        "folders of channels",
        names_of("{c}/img{t:03d}", c=("DAPI", "GFP"), t=range(5)),
        {"c": 2, "t": 5},
        channels=("DAPI", "GFP"),
        is_doubtful=True,
    ),
    Case(
        "a date in front",
        names_of("2024_01_15_cell1_{c}", c=("DAPI", "GFP")),
        {"c": 2},
        channels=("DAPI", "GFP"),
    ),
    Case("a date and a time point", names_of("exp_2024_01_15_t{t:03d}", t=range(1, 13)), {"t": 12}),
    Case("two numbers", names_of("a_{t}_{z}", t=range(3), z=range(4)), {"t": 3, "z": 4}, is_doubtful=True),
    Case("channels alone", ("DAPI", "GFP", "Cy5"), {"c": 3}, channels=("DAPI", "GFP", "Cy5")),
    Case("wells alone", ("A01", "A02", "B10"), {"p": 3}, positions=("A01:0", "A02:0", "B10:0")),
    Case(
        "a well, a site and a dye",
        names_of("Well{w}_Site{s}_{c}", w=("A1", "B2"), s=FIRST_TWO, c=("GFP", "RFP")),
        {"p": 4, "c": 2},
        channels=("GFP", "RFP"),
        positions=("A1:1", "A1:2", "B2:1"),
    ),
    Case(
        "a well and numbers, by dashes",
        names_of("{w}-{s}-{c}", w=("A1", "A2", "B1"), s=FIRST_TWO, c=("DAPI", "GFP")),
        {"p": 6, "c": 2},
        channels=("DAPI", "GFP"),
        positions=("A1:1", "A1:2", "A2:1"),
        is_doubtful=True,
    ),
    Case(
        "several plates in one folder",
        names_of("{p}_{w}_s{s}_w{c}", p=("P1", "P2"), w=("A01", "B02"), s=FIRST_TWO, c=FIRST_TWO),
        {"p": 8, "c": 2},
        positions=("P1 A01:1", "P1 A01:2", "P1 B02:1"),
    ),
    Case(
        "plates, wells and times in folders",
        names_of("Plate{p}/{w}/t{t:02d}/{c}", p=FIRST_TWO, w=("A1", "B1"), t=THREE, c=("DAPI", "GFP")),
        {"p": 4, "t": 3, "c": 2},
        channels=("DAPI", "GFP"),
        positions=("Plate1 A1:0", "Plate1 B1:0", "Plate2 A1:0"),
    ),
    Case(
        "dyes with numbers",
        names_of("slide1_{c}_z{z:02d}", c=("AF488", "AF568", "Cy5"), z=THREE),
        {"c": 3, "z": 3},
        channels=("AF488", "AF568", "Cy5"),
    ),
    Case(
        "lasers by their wavelengths",
        names_of("run_{c}_t{t:03d}", c=(405, 488, 561), t=THREE),
        {"c": 3, "t": 3},
        channels=("405", "488", "561"),
    ),
    Case(
        "an exposure for each channel",
        tuple(f"img_{c}_{ms}ms_t{t:03d}" for c, ms in (("DAPI", 100), ("GFP", 250)) for t in range(5)),
        {"c": 2, "t": 5},
        channels=("DAPI", "GFP"),
    ),
    Case(
        "animals and sections",
        names_of("mouse{m}_slice{s}_{c}", m=FIRST_THREE, s=FIRST_TWO, c=("DAPI", "GFP")),
        {"p": 3, "z": 2, "c": 2},
        positions=("mouse1:0", "mouse2:0", "mouse3:0"),
    ),
    Case(
        "samples",
        names_of("sample{s}_{c}", s=FIRST_THREE, c=("DAPI", "GFP")),
        {"p": 3, "c": 2},
        channels=("DAPI", "GFP"),
        is_doubtful=True,
    ),
    Case(
        "runs of different length",
        (*names_of("run1_t{t}", t=range(5)), *names_of("run2_t{t}", t=range(3))),
        {"p": 2, "t": 5},
        is_doubtful=True,
    ),
    Case(
        "stacks of cells",
        names_of("cell_{i:02}_z{z:02}", i=FIRST_THREE, z=range(5)),
        {"p": 3, "z": 5},
        is_doubtful=True,
    ),
    Case(
        "marks that look like wells",
        names_of("t{t:03}_z{z}_c{c}_s{s}", t=THREE, z=THREE, c=FIRST_TWO, s=FIRST_THREE),
        {"t": 3, "z": 3, "c": 2, "p": 3},
    ),
    Case(
        "marks in capitals that look like wells",
        names_of("T{t:03}_Z{z}_C{c}_S{s}", t=THREE, z=THREE, c=FIRST_TWO, s=FIRST_THREE),
        {"t": 3, "z": 3, "c": 2, "p": 3},
    ),
    Case(
        "channels and sites in capitals, alone",
        names_of("C{c}_s{s}", c=FIRST_THREE, s=FIRST_TWO),
        {"c": 3, "p": 2},
        is_doubtful=True,
    ),
    Case(
        "wells of row C with sites and dyes",
        names_of("exp_C{w}_s{s}_{c}", w=FIRST_THREE, s=FIRST_TWO, c=("GFP", "DAPI")),
        {"p": 6, "c": 2},
        positions=("C1:1", "C1:2", "C2:1"),
        channels=("DAPI", "GFP"),
    ),
    Case("a sequence called like a sample", names_of("cell{t:04}", t=range(12)), {"t": 12}),
    Case(
        "plants on days, from several sides",
        names_of("plant{p}_day{d}_view{v}_frame{f}", p=FIRST_THREE, d=FIRST_TWO, v=THREE, f=TWO),
        {"p": 9, "t": 4},
        positions=("plant1:0", "plant1:1", "plant1:2", "plant2:0"),
        times=("1:0", "1:1", "2:0", "2:1"),
    ),
    Case(
        "days and hours, words apart",
        names_of("run_day_{d}_hour_{h:02}_pos_{p}_ch_{c}", d=FIRST_TWO, h=(0, 6, 12), p=TWO, c=TWO),
        {"p": 2, "t": 6, "c": 2},
        times=("1:0", "1:6", "1:12", "2:0", "2:6", "2:12"),
    ),
    Case(
        "tiles by row and column",
        names_of("tile_r{r}_c{c}", r=THREE, c=THREE),
        {"p": 9},
        positions=("r0:0", "r0:1", "r0:2", "r1:0"),
    ),
    Case(
        "tiles by x and y",
        names_of("tile_x{x:03d}_y{y:03d}_{c}", x=THREE, y=TWO, c=("DAPI", "GFP")),
        {"p": 6, "c": 2},
        positions=("x000:0", "x000:1", "x001:0"),
    ),
    Case(
        "a stack of one channel only",
        (*names_of("t{t}_DAPI_z{z}", t=THREE, z=range(4)), *names_of("t{t}_BF_z0", t=THREE)),
        {"t": 3, "c": 2, "z": 4},
        channels=("DAPI", "BF"),
    ),
    Case(
        "a date and a time of day",
        tuple(f"IMG_202301{day}_12{minute:02d}00" for day in (15, 16) for minute in (0, 10, 20)),
        {"t": 6},
        times=tuple(f"202301{day}_12{minute:02d}00" for day in (15, 16) for minute in (0, 10, 20)),
    ),
    Case(
        "a date and a time of day for each well",
        tuple(
            f"{well}_2023-01-15T12-{10 * i:02d}-30_{c}"
            for i, well in enumerate(WELLS)
            for c in ("DAPI", "GFP")
        ),
        {"p": 3, "c": 2},
        channels=("DAPI", "GFP"),
        positions=("B02:0", "B03:0"),
    ),
    Case(
        "channels with numbers behind them",
        names_of("{c}{t:04d}", c=("phase", "rfp"), t=range(1, 6)),
        {"t": 5, "c": 2},
        channels=("phase", "rfp"),
        is_doubtful=True,
    ),
    Case(
        "doses in uM are no lengths",
        names_of("{d}uM_rep{r}_{c}", d=(0, 1, 10), r=FIRST_TWO, c=("DAPI", "GFP")),
        {"p": 6, "c": 2},
        channels=("DAPI", "GFP"),
        positions=("0uM rep1:0", "0uM rep2:0", "1uM rep1:0"),
    ),
    Case(
        "minutes",
        names_of("pos{p}_{t}min_{c}", p=FIRST_TWO, t=(0, 5, 10), c=("GFP", "BF")),
        {"p": 2, "t": 3, "c": 2},
        times=("0", "5", "10"),
    ),
    Case(
        "hours and minutes",
        names_of("{h}h{m:02d}_GFP", h=TWO, m=(0, 30)),
        {"t": 4},
        times=("0h00", "0h30", "1h00", "1h30"),
    ),
    Case(
        "unknown words alone",
        names_of("tissue_{c}_image", c=("hires", "lowres", "mask")),
        {"c": 3},
        is_doubtful=True,
    ),
    Case(
        "CODEX, processed tiles",
        names_of(
            "reg{r:03d}_X{x:02d}_Y{y:02d}_t{t:03d}_z{z:03d}_c{c:03d}",
            r=FIRST_TWO,
            x=FIRST_TWO,
            y=FIRST_TWO,
            t=FIRST_TWO,
            z=FIRST_TWO,
            c=FIRST_TWO,
        ),
        {"t": 2, "p": 8, "c": 2, "z": 2},
    ),
    Case(
        "hours after fertilisation",
        names_of("fish{p}_{t}hpf_{c}", p=FIRST_TWO, t=(24, 48, 72), c=("GFP", "BF")),
        {"p": 2, "t": 3, "c": 2},
        positions=("fish1:0", "fish2:0"),
        times=("24", "48", "72"),
    ),
    Case(
        "antigens",
        names_of("core_{w}_{c}", w=("A1", "A2", "B1"), c=("CD3", "CD8")),
        {"p": 3, "c": 2},
        channels=("CD3", "CD8"),
        positions=("A1:0", "A2:0"),
    ),
    Case(
        "words of other languages",
        names_of("Probe_Zeit{t:03d}_Kanal{c}_Ebene{z:02d}", t=THREE, c=FIRST_TWO, z=THREE),
        {"t": 3, "c": 2, "z": 3},
    ),
    Case(
        "wells with different numbers of times",
        (*names_of("A1_t{t}", t=range(10)), *names_of("B1_t{t}", t=range(7))),
        {"p": 2, "t": 10},
        positions=("A1:0", "B1:0"),
    ),
    Case(
        "masks beside images",
        (*names_of("img_{t:03d}", t=range(5)), *names_of("img_{t:03d}_mask", t=range(5))),
        {"t": 5},
        left_out=names_of("img_{t:03d}_mask", t=range(5)),
    ),
    Case(
        "a projection beside a series",
        ("mean_0_1_GFP", *names_of("img_t{t:03d}", t=range(12))),
        {"t": 12},
        left_out=("mean_0_1_GFP",),
    ),
    Case(
        "an overview beside positions",
        ("overview", *names_of("Pos{p}/img_{t:09d}_DAPI_000", p=TWO, t=THREE)),
        {"p": 2, "t": 3},
        left_out=("overview",),
    ),
)
"""Sorted by who names files so."""


def table() -> str:
    """The cases as a table in Markdown."""
    lines = ["| who names files so | for example | what is understood |", "| --- | --- | --- |"]
    words = {"t": "time", "p": "position", "c": "channel", "z": "z"}
    for case in CASES:
        axes = ", ".join(f"{n} {words[axis]}{'s' if axis != 'z' else ''}" for axis, n in case.sizes.items())
        notes = [axes]
        if case.positions and case.sizes.get("p", 1) > 1:
            notes.append("positions " + ", ".join(f"`{label}`" for label in case.positions[:2]))
        if case.channels:
            notes.append("channels " + ", ".join(f"`{name}`" for name in case.channels[:2]))
        if case.left_out:
            notes.append(f"{len(case.left_out)} files are named as left out")
        if case.is_doubtful:
            notes.append("the other choice is named")
        example = next(name for name in case.names if name not in case.left_out)
        lines.append(f"| {case.convention} | `{example}` | {'; '.join(notes)} |")
    return "\n".join(lines)


def main() -> None:
    """Write the table into the documentation."""
    text = FORMATS.read_text("utf-8")
    head, rest = text.split(BEGIN)
    FORMATS.write_text(f"{head}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}", "utf-8")


if __name__ == "__main__":
    main()
