"""How programs and collections name their files, and names that have only words and numbers."""

from __future__ import annotations

from tests.name_case import FIRST_THREE, FIRST_TWO, THREE, TWO, WELLS, Case, names_of

PROGRAMS = (
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
)

OVER_MIDNIGHT = ("2024_03_11_23_58_07", "2024_03_11_23_59_07", "2024_03_12_00_00_07", "2024_03_12_00_01_09")
DAY_FIRST = ("30.03.2024 14.05.00", "31.03.2024 13.10.00", "01.04.2024 09.15.00")
MONTH_FIRST = ("3-31-2024 11-59-00 AM", "3-31-2024 1-10-30 PM", "4-1-2024 9-15-00 AM")
CLOCK = ("09-58-03", "09-59-31", "10-01-02", "10-02-40")
HOURS_AND_MINUTES = ("09_58", "10_03", "10_08", "10_13")
EVERY_TEN_MINUTES = tuple(f"{m // 60:02d}_{m % 60:02d}" for m in range(9 * 60 + 58, 13 * 60, 10))
AROUND_MIDNIGHT = tuple(f"{m // 60 % 24:02d}-{m % 60:02d}" for m in range(22 * 60 + 50, 26 * 60 + 30, 20))

WORDS_AND_NUMBERS = (
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
        "z with sign, decimals and a unit",
        names_of("focus_z{z:+.1f}um", z=(-1.5, -0.5, 0.5, 1.5)),
        {"z": 4},
        z=("-1.5", "-0.5", "0.5", "1.5"),
    ),
    Case(
        "z in mm",
        names_of("stack_{z:.2f}mm", z=(-0.25, 0.0, 0.25, 0.5)),
        {"z": 4},
        z=("-0.25", "0", "0.25", "0.5"),
    ),
    Case(
        "z in µm",
        names_of("img_{z}um_{c}", z=(-5, 0, 5), c=("DAPI", "GFP")),
        {"z": 3, "c": 2},
        z=("-5", "0", "5"),
    ),
    Case(
        "z in µm with a mark", names_of("img_z{z}um_{c}", z=(0, 5, 10), c=("DAPI", "GFP")), {"z": 3, "c": 2}
    ),
    Case(
        "times with a mark and a unit",
        names_of("img_t{t}min_{c}", t=(0, 5), c=("DAPI", "GFP")),
        {"t": 2, "c": 2},
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
    Case(
        "three numbers",
        names_of("a_{t}_{p}_{z}", t=TWO, p=THREE, z=range(4)),
        {"t": 2, "p": 3, "z": 4},
        is_doubtful=True,
    ),
    Case(
        "a word, two numbers and a dye",
        names_of("scan_{t:02}_{z:02}_{c}", t=TWO, z=THREE, c=("DAPI", "GFP")),
        {"t": 2, "z": 3, "c": 2},
        is_doubtful=True,
    ),
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
    Case("a camera's sequence", names_of("cam_{t:05}", t=range(7)), {"t": 7}),
    Case(
        "plants on days, from several sides",
        names_of("plant{p}_day{d}_view{v}_frame{f}", p=FIRST_THREE, d=FIRST_TWO, v=THREE, f=TWO),
        {"p": 9, "t": 4},
        positions=("plant1:0", "plant1:1", "plant1:2", "plant2:0"),
        times=("1:0", "1:1", "2:0", "2:1"),
    ),
    Case(
        "plants on days, from several sides, with frames or z",
        names_of("plant_{p}/day_{d}/side_view_{v}_{f:04}", p=FIRST_THREE, d=FIRST_TWO, v=(0, 90), f=TWO),
        {"p": 6, "t": 2, "z": 2},
        positions=("1:0", "1:90", "2:0", "2:90"),
        is_doubtful=True,
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
        "a date and a time of day, by one mark only, over midnight",
        tuple(f"{time}_pos{p}" for time in OVER_MIDNIGHT for p in (1, 2)),
        {"t": 4, "p": 2},
        times=OVER_MIDNIGHT,
    ),
    Case(
        "the day first, over the end of a month",
        tuple(f"{time}_{c}" for time in DAY_FIRST for c in ("DAPI", "GFP")),
        {"t": 3, "c": 2},
        channels=("DAPI", "GFP"),
        times=DAY_FIRST,
    ),
    Case(
        "the month first, twelve hours",
        tuple(f"img {time}" for time in MONTH_FIRST),
        {"t": 3},
        times=MONTH_FIRST,
    ),
    Case(
        "times of day alone",
        tuple(f"exp_{time}_z{z}" for time in CLOCK for z in (0, 1)),
        {"t": 4, "z": 2},
        times=CLOCK,
    ),
    Case(
        "hours and minutes alone",
        tuple(f"exp_{time}" for time in HOURS_AND_MINUTES),
        {"t": 4},
        times=HOURS_AND_MINUTES,
        is_doubtful=True,
    ),
    Case(
        "hours and minutes alone, for hours",
        tuple(f"exp_{time}_z{z}" for time in EVERY_TEN_MINUTES for z in (0, 1)),
        {"t": len(EVERY_TEN_MINUTES), "z": 2},
        times=EVERY_TEN_MINUTES,
        is_doubtful=True,
    ),
    Case(
        "hours and minutes alone, over midnight",
        tuple(f"{time}_{c}" for time in AROUND_MIDNIGHT for c in ("DAPI", "GFP")),
        {"t": len(AROUND_MIDNIGHT), "c": 2},
        channels=("DAPI", "GFP"),
        times=AROUND_MIDNIGHT,
        is_doubtful=True,
    ),
    Case(
        "two counted numbers of two digits each",
        names_of("img_{t:02d}_{z:02d}", t=range(1, 5), z=range(1, 8)),
        {"t": 4, "z": 7},
        is_doubtful=True,
    ),
    Case(
        "a number and heights in equal steps",
        names_of("img_{t:02d}_{z:02d}", t=range(1, 5), z=range(0, 60, 10)),
        {"t": 4, "z": 6},
        is_doubtful=True,
    ),
    Case(
        "a date and counted numbers",
        names_of("2024_03_11_{t:02d}_{z:02d}", t=range(1, 6), z=range(3)),
        {"t": 5, "z": 3},
        is_doubtful=True,
    ),
    Case(
        "a date and a number, over midnight",
        names_of("2024-03-{day}_{z:04d}", day=(11, 12), z=range(5)),
        {"t": 2, "z": 5},
        is_doubtful=True,
    ),
    Case(
        "wells with sites that count from 1, z and dyes",
        names_of("{w}_{f:02d}_{z:02d}_{c}", w=WELLS, f=FIRST_THREE, z=range(4), c=("DAPI", "GFP")),
        {"p": 9, "z": 4, "c": 2},
        positions=("B02:1", "B02:2"),
        channels=("DAPI", "GFP"),
        is_doubtful=True,
    ),
    Case(
        "wells with blanks",
        names_of("{w} {c} s{f}", w=("B - 02", "B - 03", "C - 02"), f=FIRST_TWO, c=("DAPI", "GFP")),
        {"p": 6, "c": 2},
        positions=("B02:1", "B02:2"),
        channels=("DAPI", "GFP"),
    ),
    Case("numbers between other marks", names_of("img#{t:03d}#r", t=range(4)), {"t": 4}),
    Case(
        "marked numbers between other marks",
        names_of("pos#{p}_t#{t:03d}_ch#{c}", p=(1, 2), t=THREE, c=(1, 2)),
        {"p": 2, "t": 3, "c": 2},
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
