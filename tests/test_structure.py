"""The house: its rooms, names and imports, as the source files themselves show them."""

from __future__ import annotations

import ast
import functools
import io
import re
import tokenize
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGE = "ndviewer_light"

KNOWN_NUMBERS = {
    *(
        "BAND_BYTES",
        "IDLE_SECONDS",
        "KEPT_BYTES",
        "MAX_SAID",
        "POLL_SECONDS",
        "TICK_SECONDS",
    ),  # equal by chance
}
"""Constants that may be in more than one place by the same name with the same value."""

PARALLEL = {
    "__init__",
    "__main__",
    "client",  # of the reader process, and of servers: each the asking end of a connection
    "errors",
    "format",
    "source",
    "images",  # which images a file of that format holds
    "nwb",
    "plane_reader",
}
"""File names that stand for the same idea in parallel rooms."""


@functools.cache
def modules() -> dict[str, Path]:
    """Every module of the package by its name in it: "storage.bytes"; "" is the package itself."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.cache
def parsed(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text())


# ---- imports ---------------------------------------------------------------------------------------


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes that may ever run: functions too, but not what only type checkers see."""
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        for other in node.orelse:
            yield from executed(other)
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from executed(child)


def imported_by(name: str) -> set[str]:
    """The modules of the package that a module imports, at whatever time."""
    room = name.split(".") if modules()[name].name == "__init__.py" else name.split(".")[:-1]
    room = [part for part in room if part]
    found = set()
    for node in executed(parsed(name)):
        if isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == PACKAGE for alias in node.names), (
                f"{name}: not relative"
            )
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = [*room[: len(room) - node.level + 1], *([node.module] if node.module else [])]
            for alias in node.names:
                whole = ".".join([*base, alias.name])
                found.add(whole if whole in modules() else ".".join(base))
    return {each for each in found if each in modules()} - {name}


def circles(graph: dict[str, set[str]]) -> set[frozenset[str]]:
    """The sets of modules of which each imports, over others, each (Tarjan)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: set[frozenset[str]] = set()

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in graph[name]:
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            together = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(together) > 1:
                found.add(frozenset(together))

    for name in graph:
        if name not in order:
            visit(name)
    return found


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"e", "a"}, "e": {"f"}, "f": {"d"}, "g": {"a"}}
    assert circles(graph) == {frozenset("bc"), frozenset("def")}


def test_no_modules_import_each_other() -> None:
    found = circles({name: imported_by(name) for name in modules()})
    assert not found


# ---- names -----------------------------------------------------------------------------------------


def test_a_class_name_stands_for_one_thing() -> None:
    homes = defaultdict(list)
    for name in modules():
        for node in ast.walk(parsed(name)):
            if isinstance(node, ast.ClassDef):
                homes[node.name.lstrip("_")].append(name)
    twice = {name: where for name, where in homes.items() if len(where) > 1}
    assert not twice


def test_a_file_name_stands_for_one_thing_or_the_same_in_parallel_rooms() -> None:
    homes = defaultdict(list)
    for path in modules().values():
        homes[path.stem].append(path)
    twice = {stem: paths for stem, paths in homes.items() if len(paths) > 1}
    assert set(twice) == PARALLEL, twice


def test_a_number_is_written_once() -> None:
    homes = defaultdict(list)
    for name in modules():
        for node in parsed(name).body if not name.startswith("simulator") else ():
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                constant = node.targets[0].id.strip("_")
                if constant.isupper() and "TypeVar" not in ast.unparse(node.value):
                    homes[constant, ast.unparse(node.value)].append(name)
    twice = {constant: where for (constant, _), where in homes.items() if len(where) > 1}
    assert set(twice) <= KNOWN_NUMBERS, twice


def is_number(node: ast.expr) -> bool:
    """Whether an expression has only numbers in it."""
    arithmetic = (ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop)
    return all(
        isinstance(part, arithmetic)
        or (isinstance(part, ast.Constant) and isinstance(part.value, int | float))
        for part in ast.walk(node)
    )


def test_a_name_stands_for_one_number_in_private_too() -> None:
    values = defaultdict(lambda: defaultdict(list))
    for name in modules():
        for node in parsed(name).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                constant = node.targets[0].id.strip("_")
                if constant.isupper() and len(constant) > 1 and is_number(node.value):
                    values[constant][ast.unparse(node.value)].append(name)
    several = {constant: dict(homes) for constant, homes in values.items() if len(homes) > 1}
    assert not several


PARALLEL_CONSTANTS = {"ENDINGS", "GROUND", "WELL", *KNOWN_NUMBERS}
"""Of parallel things: the endings of each format; a colour, and the same for Qt."""


def test_a_public_constant_has_one_meaning() -> None:
    homes = defaultdict(list)
    for name in modules():
        for node in parsed(name).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                constant = node.targets[0].id
                if constant.isupper() and not constant.startswith("_") and len(constant) > 1:
                    homes[constant].append(name)
    twice = {constant: where for constant, where in homes.items() if len(where) > 1}
    assert set(twice) <= PARALLEL_CONSTANTS, twice


_QUOTED = re.compile(r"(?<!`)`([A-Za-z_][\w.]*)(?:\([^`]*\))?`(?!`)")


def quoted_by(name: str) -> set[str]:
    """What docstrings and comments of a module name in backticks."""
    texts = [
        node.value
        for node in ast.walk(parsed(name))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "`" in node.value
    ]
    source = modules()[name].read_text()
    texts += [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    return {match[1] for text in texts for match in _QUOTED.finditer(text)}


@functools.cache
def words() -> frozenset[str]:
    """Every identifier of the code, every file and folder of it, every word of a text that is data."""
    found = {part for name in modules() for part in name.split(".")}
    for name in modules():
        for node in ast.walk(parsed(name)):
            for field in ("id", "attr", "arg", "name", "asname", "module"):
                value = getattr(node, field, None)
                if isinstance(value, str):
                    found.update(value.split("."))
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
                if "`" not in text:
                    found.update(re.findall(r"\w+", text))
    return frozenset(found)


def test_what_docstrings_and_comments_name_exists() -> None:
    unknown = {
        (name, quoted)
        for name in modules()
        for quoted in quoted_by(name)
        if not set(quoted.removesuffix(".py").split(".")) <= words()
    }
    assert not unknown, "literals are put in double backticks"


def test_files_that_the_docs_name_exist() -> None:
    names = {path.relative_to(ROOT / PACKAGE).as_posix() for path in modules().values()}
    names |= {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("tests/**/*.py")} | {
        path.name for path in ROOT.glob("*.py")
    }
    gone = []
    for document in (ROOT / "docs").glob("*.md"):
        for quoted in re.findall(r"`([\w/]+\.py)`", document.read_text()):
            if not any(f"/{name}".endswith(f"/{quoted}") or quoted == f"{PACKAGE}/{name}" for name in names):
                gone.append((document.name, quoted))
    assert not gone


def test_the_house_is_on_one_page() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert len(page.splitlines()) <= 220, "lists belong in rooms.md, how something goes in walks.md"
    rooms = {f"`{path.name}/`" for path in (ROOT / PACKAGE).iterdir() if (path / "__init__.py").is_file()}
    assert len(rooms) > 8 and not {room for room in rooms if room not in page}


def test_every_room_is_on_the_page_of_rooms() -> None:
    page = (ROOT / "docs" / "rooms.md").read_text()
    rooms = {path.parent.relative_to(ROOT / PACKAGE).name for path in modules().values()}
    assert not {room for room in rooms if room and not re.search(rf"`(?:\w+/)*{room}/(?:\w+\.py)?`", page)}


# ---- private names ---------------------------------------------------------------------------------

_PUBLIC_WITH_UNDERSCORE = {"_replace", "_asdict", "_make", "_fields", "_getframe"}
"""Of named tuples, and of `sys`."""


def taken_privately(name: str) -> set[str]:
    """The private names that a module takes of what is neither `self` nor of its own classes."""
    tree = parsed(name)
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            holder, attribute = node.value, node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr", "setattr"):
            holder, attribute = node.args[0], str(getattr(node.args[1], "value", ""))
        else:
            continue
        is_private = attribute.startswith("_") and not attribute.startswith("__")
        if is_private and ast.unparse(holder) not in ("self", "cls") and attribute not in own:
            found.add(attribute)
    return found - _PUBLIC_WITH_UNDERSCORE


def test_private_names_of_ndv_and_vispy_are_not_taken() -> None:
    found = {name: taken_privately(name) for name in modules() if name.startswith("gui.")}
    assert {name: taken for name, taken in found.items() if taken} == {}


_PRIVATE_MODULE = re.compile(r"(?:ndv|vispy)(?:\.\w+)*\._\w+(?:\.\w+)*")


def private_modules_of(name: str) -> set[str]:
    """The private modules of ndv and vispy, and private names in modules of theirs, that a module imports."""
    found = set()
    for node in executed(parsed(name)):
        if isinstance(node, ast.Import):
            said = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            said = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):  # for `importlib`
            said = [node.value]
        else:
            continue
        found.update(each for each in said if _PRIVATE_MODULE.fullmatch(each))
    return found


def test_private_modules_of_ndv_and_vispy_are_not_imported() -> None:
    found = {name: private_modules_of(name) for name in modules()}
    assert {name: imported for name, imported in found.items() if imported} == {}


# ---- rooms -----------------------------------------------------------------------------------------


def test_few_modules_are_at_the_top_of_the_package() -> None:
    assert len(list((ROOT / PACKAGE).glob("*.py"))) <= 12


MOST_LINES = 500


def test_a_module_is_short_enough_to_be_read() -> None:
    lengths = {name: len(path.read_text().splitlines()) for name, path in modules().items()}
    assert not {name: n for name, n in lengths.items() if n > MOST_LINES}


def test_every_room_has_a_sentence_at_its_door() -> None:
    rooms = {name: path for name, path in modules().items() if path.name == "__init__.py"}
    assert {path.parent for path in modules().values()} == {path.parent for path in rooms.values()}
    for name in rooms:
        text = ast.get_docstring(parsed(name)) or ""
        assert text.split("\n")[0].endswith("."), f"{name or PACKAGE}: no sentence"


# ---- numbers in messages ---------------------------------------------------------------------------

_COUNTED = re.compile(
    r" (bytes|axes|dimensions|requests|values|components|samples|thumbnails)\b(.*)", re.DOTALL
)
_MANY = ("at most", "too ", "more than", "may have", "or more", "in all", "beyond")
"""What is said of numbers that are large."""
_LIMIT = re.compile(r"[\w.]*[A-Z]{4,}\w*")


def counted_in_texts(name: str) -> Iterator[str]:
    """What is counted in a module's messages, and called by its plural whatever its number is."""
    path = modules()[name]
    source = path.read_text()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.JoinedStr):
            continue
        for number, text in pairwise(node.values):
            if not isinstance(number, ast.FormattedValue) or not isinstance(text, ast.Constant):
                continue
            found = _COUNTED.match(text.value)
            said = ast.unparse(number.value)
            if found is None or said.startswith("how_many(") or _LIMIT.fullmatch(said):
                continue
            if not any(word in found[2] for word in _MANY):
                yield f"{name}:{number.lineno}: {said} {found[1]}"


def test_what_is_counted_in_messages_has_one_or_many() -> None:
    """No "1 bytes": `how_many` knows both."""
    found = [each for name in modules() for each in counted_in_texts(name)]
    assert sorted(found) == []
