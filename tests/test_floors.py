"""The floors of the house: who may import from whom, counted over every import there is, also in functions and under TYPE_CHECKING.

Each law is a function of the sources as text, and is shown to fail on sources to which a breach was added.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import autograd_core as ag

ROOT = Path(__file__).parent.parent

# A file may import from its own room and from the rows above. Rooms of one row know nothing of one another. A row stands for all
# files below its path that no longer path stands for: "autograd_core/gradcheck" is what lies beside its shelves.
ROOMS = [
    ("autograd_core/arrays",),
    ("autograd_core/arrays/batching",),
    ("autograd_core/tape",),
    ("autograd_core/tensor",),
    ("autograd_core/define",),
    ("autograd_core/transforms",),
    ("autograd_core/instruments",),
    ("autograd_core/rules",),
    ("autograd_core/gradcheck/subjects",),
    ("autograd_core/gradcheck/numeric",),
    ("autograd_core/gradcheck/inputs",),
    ("autograd_core/gradcheck/diagnosis",),
    ("autograd_core/gradcheck/report",),
    ("autograd_core/gradcheck/check",),
    ("autograd_core/gradcheck",),
    ("autograd_core/memory",),
    ("autograd_core/memory/chains",),
    ("autograd_core/compiling",),
    ("autograd_core/drawing/document",),
    ("autograd_core/drawing",),
    ("autograd_core/linalg.py", "autograd_core/special.py"),  # public namespaces of rules/
    ("autograd_core/__init__.py",),
    ("nn", "optim", "pytest_autograd_core.py"),
    ("pytest_autograd_core.py", "tools"),
]
MOST_FLOORS = 9
# Other libraries, each an extra of the package: a function may import them, or a module that is called after them and loaded on demand.
OPTIONAL = {"graphviz", "matplotlib", "pygraphviz", "pytest", "safetensors", "scipy", "sklearn", "torch", "tqdm"}

Sources = Mapping[str, str]  # path -> text


@functools.cache
def sources() -> Sources:
    paths = [path for package in ("autograd_core", "nn", "optim", "tools") for path in (ROOT / package).rglob("*.py")]
    paths.append(ROOT / "pytest_autograd_core.py")
    paths.append(ROOT / "pytest_autograd_core.py")
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted(paths)}


def within(tree: Sources, *folders: str) -> list[str]:
    return [path for path in tree if path.startswith(tuple(f"{folder}/" for folder in folders))]


# --- what a file imports ---------------------------------------------------------------------------------------------------------


def file_of(module: str, tree: Sources) -> str | None:
    """The file of a module of ours."""
    path = module.replace(".", "/")
    return next((file for file in (f"{path}.py", f"{path}/__init__.py") if file in tree), None)


@functools.cache
def import_statements(text: str) -> list[tuple[str, str | None, bool]]:
    """(module, name taken from it or None, whether it is imported with the file) for each import."""
    found: list[tuple[str, str | None, bool]] = []

    def visit(node: ast.AST, at_once: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend((alias.name, None, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"imports are written in full: {ast.unparse(node)}"
            found.extend((str(node.module), alias.name, at_once) for alias in node.names)
        elif not isinstance(node, ast.expr):
            later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
                isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            )
            for child in ast.iter_child_nodes(node):
                visit(child, at_once and not later)

    visit(ast.parse(text), True)
    return found


def imports(path: str, tree: Sources) -> Iterator[tuple[str, bool]]:
    """(module, whether it is imported with the file) for each import, in full: `from a import b` may mean a.b."""
    for module, name, at_once in import_statements(tree[path]):
        inner = f"{module}.{name}"
        yield (inner if name and file_of(inner, tree) else module), at_once


def imported_files(path: str, tree: Sources) -> set[str]:
    """The files of ours that a file imports, whenever it does."""
    return {file for module, _ in imports(path, tree) if (file := file_of(module, tree)) is not None} - {path}


@functools.cache
def room_of(path: str) -> str | None:
    """The longest path of the table that stands for a file."""
    rooms = [room for row in ROOMS for room in row if path == room or path.startswith(f"{room}/")]
    return max(rooms, key=len, default=None)


ROW = {room: number for number, row in enumerate(ROOMS) for room in row}

# --- the laws --------------------------------------------------------------------------------------------------------------------


def imports_against_the_order(tree: Sources) -> list[str]:
    breaches = []
    for path in tree:
        own = room_of(path)
        for file in imported_files(path, tree):
            room = room_of(file)
            if own is not None and room is not None and room != own and ROW[room] >= ROW[own]:
                breaches.append(f"{path} imports {file}, but {room} does not stand above {own} in the table")
    return breaches


def circles(tree: Sources) -> list[list[str]]:
    """Files that import one another, each circle once."""
    edges = {path: imported_files(path, tree) for path in tree}
    found: list[list[str]] = []
    done: set[str] = set()
    way: list[str] = []

    def visit(path: str) -> None:
        if path in way:
            found.append([*way[way.index(path) :], path])
        elif path not in done:
            way.append(path)
            for file in sorted(edges[path]):
                visit(file)
            way.pop()
            done.add(path)

    for path in edges:
        visit(path)
    return found


def floors(tree: Sources) -> dict[str, int]:
    """How high each folder stands: one floor above the highest that it imports from."""

    def folder(path: str) -> str:
        parts = path.split("/")
        return "/".join(parts[:2]) if parts[0] == "autograd_core" else parts[0]

    beneath: dict[str, set[str]] = {}
    for path in tree:
        beneath.setdefault(folder(path), set()).update(map(folder, imported_files(path, tree)))

    @functools.cache
    def floor(room: str) -> int:
        return 1 + max((floor(other) for other in beneath[room] - {room}), default=0)

    return {room: floor(room) for room in beneath}


def writes_to_other_modules(tree: Sources) -> list[str]:
    """Assignments to a global of another module, by whatever way."""
    return [f"{path}: {write}" for path, text in tree.items() for write in writes_in(text)]


@functools.cache
def writes_in(text: str) -> list[str]:
    parsed = ast.parse(text)
    modules = set()
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            modules.update(alias.asname or alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            modules.update(alias.asname or alias.name for alias in node.names if file_of(f"{node.module}.{alias.name}", sources()))

    def is_module(node: ast.AST) -> bool:
        if isinstance(node, ast.Attribute):  # a.b.c may be one, and what is neither is no global either
            return is_module(node.value)
        return (isinstance(node, ast.Name) and node.id in modules) or ast.unparse(node).startswith("sys.modules[")

    found = []
    for node in ast.walk(parsed):
        written = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del) and is_module(node.value)
        if isinstance(node, ast.Call) and node.args and isinstance(node.func, ast.Name) and node.func.id in ("setattr", "delattr", "vars"):
            written = is_module(node.args[0])
        elif isinstance(node, ast.Attribute) and node.attr == "__dict__":
            written = is_module(node.value)
        if written:
            found.append(ast.unparse(node))
    return found


def test_every_file_has_a_room():
    homeless = [path for path in sources() if room_of(path) is None]
    assert not homeless, f"give {homeless} a row in this table, and say in docs/design.md why"


def test_every_row_stands_for_files_that_are_there():
    assert {room_of(path) for path in sources()} == set(ROW)


def test_no_file_imports_against_the_order_of_the_rooms():
    assert not imports_against_the_order(sources())


def test_no_files_import_one_another_in_a_circle():
    assert not circles(sources())


def test_the_house_has_few_floors():
    heights = floors(sources())
    assert max(heights.values()) <= MOST_FLOORS, heights


def test_no_module_sets_the_globals_of_another():
    assert not writes_to_other_modules(sources())


# --- the laws can fail -----------------------------------------------------------------------------------------------------------


def with_lines(path: str, lines: str) -> Sources:
    """The sources with `lines` added to one file."""
    return {**sources(), path: f"{sources()[path]}\n{lines}\n"}


UPWARDS = "from autograd_core.tensor.tensor import Tensor"
FORMS = {
    "with the file": UPWARDS,
    "in a function": f"def late():\n    {UPWARDS}",
    "for types": f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {UPWARDS}",
    "as a module": "import autograd_core.tensor.tensor",
    "of a module's name": "from autograd_core.tensor import tensor",
    "of the public names": "import autograd_core as ag",
}


@pytest.mark.parametrize("lines", FORMS.values(), ids=FORMS)
def test_an_import_from_a_higher_room_is_found(lines: str) -> None:
    (breach,) = imports_against_the_order(with_lines("autograd_core/tape/sweep.py", lines))
    assert breach.startswith("autograd_core/tape/sweep.py imports autograd_core/")


def test_an_import_between_rooms_of_one_row_is_found():
    assert len(imports_against_the_order(with_lines("nn/linear.py", "import optim"))) == 1
    assert len(imports_against_the_order(with_lines("optim/groups.py", "import nn"))) == 1


@pytest.mark.parametrize(
    ("path", "module"),
    [
        ("autograd_core/tape/op.py", "autograd_core.tape.plan"),
        ("autograd_core/drawing/scene.py", "autograd_core.drawing.drawing"),
        ("nn/functional/softmax.py", "nn.functional"),
        ("optim/groups.py", "optim.optimizer"),
        ("tools/bench/measure.py", "tools.bench.engine"),
    ],
)
def test_a_circle_is_found_wherever_it_is_closed(path: str, module: str) -> None:
    for lines in (
        f"import {module}",
        f"def late():\n    import {module}",
        f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import {module}",
    ):
        assert any(path in circle for circle in circles(with_lines(path, lines)))


def test_one_floor_more_is_counted():
    before = floors(sources())
    more = {**sources(), "autograd_core/cellar/ground.py": ""}
    more["autograd_core/arrays/shapes.py"] += "\nfrom autograd_core.cellar import ground\n"
    assert max(floors(more).values()) == max(before.values()) + 1


WRITES = [
    "from autograd_core.tape import sweep\nsweep.limit = 1",
    "import autograd_core.tape.sweep\nautograd_core.tape.sweep.limit = 1",
    "import autograd_core.tape.sweep as s\ndef late():\n    s.limit += 1",
    "import autograd_core.tape.sweep as s\nsetattr(s, 'limit', 1)",
    "import autograd_core.tape.sweep as s\ns.__dict__['limit'] = 1",
    "import sys\nsys.modules['autograd_core.tape.sweep'].limit = 1",
]


@pytest.mark.parametrize("lines", WRITES)
def test_a_global_that_another_module_sets_is_found(lines: str) -> None:
    assert len(writes_to_other_modules(with_lines("autograd_core/tensor/tensor.py", lines))) == 1


# --- what rooms must not know ----------------------------------------------------------------------------------------------------


def test_arrays_and_tape_know_no_tensor():
    for path in within(sources(), "autograd_core/arrays", "autograd_core/tape"):
        names = {
            node.id if isinstance(node, ast.Name) else node.attr
            for node in ast.walk(ast.parse(sources()[path]))
            if isinstance(node, ast.Name | ast.Attribute)
        }
        assert not names & {"Tensor", "Handle"}, path


@pytest.mark.parametrize("room", sorted(path.parent.name for path in (ROOT / "autograd_core").glob("*/__init__.py")))
def test_every_room_tells_what_to_read_first_and_what_it_must_not_know(room: str) -> None:
    story = " ".join((ast.get_docstring(ast.parse(sources()[f"autograd_core/{room}/__init__.py"])) or "").split())
    assert "must not know" in story
    named = re.findall(r"Read (?:in this order: )?`([\w/]+\.py)`", story)
    assert named, "say what to read first"
    assert all(f"autograd_core/{room}/{first}" in sources() for first in named)


def test_no_room_knows_what_the_design_says_it_must_not_know():
    table = re.findall(r"^\| `(\w+)/` \| .* \| (.*) \|$", (ROOT / "docs/design.md").read_text(), re.MULTILINE)
    rooms = {room for room, _ in table}
    forbidden = [(room, other) for room, unknown in table for other in re.findall(r"\w+", unknown) if other in rooms]
    assert len(forbidden) > 5
    for room, other in forbidden:
        for path in within(sources(), f"autograd_core/{room}"):
            known = within(dict.fromkeys(imported_files(path, sources()), ""), f"autograd_core/{other}")
            assert not known, f"{path} imports {known}"


def test_the_packages_import_numpy_alone_and_extras_where_they_are_used():
    ours = {"autograd_core": {"autograd_core"}, "nn": {"autograd_core", "nn"}, "optim": {"autograd_core", "optim"}}
    for path in within(sources(), *ours):
        for module, at_once in imports(path, sources()):
            package = module.split(".")[0]
            known = package in sys.stdlib_module_names or package == "numpy" or package in ours[path.split("/")[0]]
            optional = package in OPTIONAL and (not at_once or Path(path).stem.startswith(package))
            assert known or optional, f"{path} imports {module}"


def test_layers_and_optimizers_use_public_names_of_the_engine_only():
    for path in within(sources(), "nn", "optim"):
        inner = [module for module, _ in imports(path, sources()) if module.startswith("autograd_core.")]
        assert not inner, f"{path} imports {inner}; `import autograd_core as ag` and use what it exports"
        tree = ast.parse(sources()[path])
        aliases = {a.asname or a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names if a.name == "autograd_core"}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases:
                assert is_public(node.attr), f"{path} uses ag.{node.attr}, which is not a public name"


def is_public(name: str) -> bool:
    return name in ag.__all__ and (name in ("linalg", "special", "testing") or not inspect.ismodule(getattr(ag, name)))


def test_importing_the_packages_loads_no_library_but_numpy():
    def loaded(statement: str) -> Any:
        code = f"{statement}; import sys; print(*{{m.split('.')[0] for m in sys.modules}})"
        return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT).stdout.split())

    more = loaded("import autograd_core, nn, optim") - loaded("import numpy.random") - set(sys.stdlib_module_names)
    assert more == {"autograd_core", "nn", "optim"}
