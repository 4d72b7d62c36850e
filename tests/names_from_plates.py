"""How plate readers and high-content screening instruments name their files."""

from __future__ import annotations

from tests.name_case import FIRST_THREE, FIRST_TWO, THREE, TWO, WELLS, Case, names_of, uuid

PLATES = (
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
        "CellVoyager CV7000, several time lines",
        tuple(f"P_B02_T{t:04}F001L{line:02}A01Z01C01" for line in FIRST_TWO for t in FIRST_THREE),
        {"t": 6},
        positions=("B02:1",),
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
)
