"""How microscopes, and the programs that control them, name their files."""

from __future__ import annotations

from tests.name_case import FIRST_THREE, FIRST_TWO, THREE, TWO, Case, names_of

MICRO_MANAGER_AND_SQUID = (
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
        "Micro-Manager 1.4, folders of a grid",
        names_of("1-Pos_{x:03d}_{y:03d}/img_{t:09d}_{c}_000", x=TWO, y=THREE, t=TWO, c=("DAPI", "GFP")),
        {"p": 6, "t": 2, "c": 2},
        channels=("DAPI", "GFP"),
        positions=("000:0", "000:1"),
    ),
    Case(
        "Micro-Manager 1.4, channel without a name",
        names_of("img_{t:09d}__{z:03d}", t=THREE, z=TWO),
        {"t": 3, "z": 2},
    ),
    Case(
        "Squid, images of one region that is no well",
        names_of("manual0_{f}_{z}_{c}", f=THREE, z=TWO, c=("DAPI", "GFP")),
        {"p": 3, "z": 2, "c": 2},
        channels=("DAPI", "GFP"),
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
)

MICROSCOPES = (
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
        "MetaMorph, a dash after the number of the wavelength",
        names_of("exp_s{s}_{c}_t{t}", c=("w1-BF", "w2-GFP"), s=FIRST_TWO, t=FIRST_TWO),
        {"c": 2, "p": 2, "t": 2},
        channels=("GFP", "BF"),
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
        "lattice light sheet (Janelia)",
        tuple(
            f"scan_CamA_ch{c}_CAM1_stack{t:04}_{nm}nm_{1000 * t:07}msec_{5000 + 1000 * t + c:010}msecAbs"
            for c, nm in enumerate((488, 560))
            for t in THREE
        ),
        {"t": 3, "c": 2},
        channels=("488nm", "560nm"),
    ),
    Case(
        "Leica LAS X, tile scans",
        names_of("TileScan_{r:03}_s{s:02}_z{z:02}_ch{c:02}", r=FIRST_TWO, s=TWO, z=THREE, c=TWO),
        {"p": 4, "z": 3, "c": 2},
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
        "NIS-Elements, z only",
        names_of("ND12 samplez{z:02d}c{c}", z=range(1, 12), c=FIRST_TWO),
        {"z": 11, "c": 2},
    ),
    Case(
        "NIS-Elements, points only",
        names_of("expxy{p:02d}c{c}", p=FIRST_THREE, c=FIRST_TWO),
        {"p": 3, "c": 2},
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
)
