"""The floors of the house: each file of autograd_core imports from lower floors only, and nn and optim use public names only."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import autograd_core as ag

ROOT = Path(__file__).parent.parent

# What stands on which floor; a new file or folder of autograd_core needs a place here.
FLOORS = [
    {"arrays", "tape"},
    {"tensor"},
    {"define"},
    {"transforms", "instruments", "memory", "drawing", "gradcheck", "rules", "linalg", "special"},
    {"__init__"},
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
# Other libraries, each an extra of the package: a function may import them, or a module that is called after them and loaded on demand.
OPTIONAL = {"graphviz", "matplotlib", "pygraphviz", "pytest", "safetensors", "scipy", "sklearn", "tqdm"}


def sources(package):
    return sorted((ROOT / package).rglob("*.py"))


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path):
    """(module, whether at the top of the file) of each import, as full names: `from a import b` may mean a.b."""
    tree = ast.parse(path.read_text())
    found = []

    def visit(node, top):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            top = False
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            top = False
        if isinstance(node, ast.Import):
            found.extend((alias.name, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            for alias in node.names:
                inner = ROOT.joinpath(*node.module.split("."), alias.name)
                is_module = inner.with_suffix(".py").exists() or inner.is_dir()
                found.append((f"{node.module}.{alias.name}" if is_module else node.module, top))
        for child in ast.iter_child_nodes(node):
            visit(child, top)

    visit(tree, True)
    return found


def floor_of(module):
    """The floor of `autograd_core.x.y`, told by x."""
    parts = module.split(".")
    return FLOOR.get(parts[1] if len(parts) > 1 else "__init__")


ENGINE = sources("autograd_core")
ids = {"ids": lambda path: str(path.relative_to(ROOT))}


@pytest.mark.parametrize("path", ENGINE, **ids)
def test_every_file_of_the_engine_has_a_floor(path):
    assert floor_of(module_name(path)) is not None, f"give {path.relative_to(ROOT)} a floor in this test, and say in DESIGN why"


@pytest.mark.parametrize("path", ENGINE, **ids)
def test_no_file_of_the_engine_imports_from_a_higher_floor(path):
    own = floor_of(module_name(path))
    wrong = [module for module, _ in imports_of(path) if module.split(".")[0] == "autograd_core" and floor_of(module) > own]
    assert not wrong, f"{path.relative_to(ROOT)} is on floor {own} and imports {wrong}"


def test_no_files_of_the_engine_import_one_another_in_a_circle():
    edges = {module_name(path): {m for m, top in imports_of(path) if top and m.startswith("autograd_core.")} for path in ENGINE}
    done, on_the_way = set(), []

    def visit(module):
        assert module not in on_the_way, f"a circle of imports: {' -> '.join([*on_the_way[on_the_way.index(module) :], module])}"
        if module in done:
            return
        on_the_way.append(module)
        for imported in sorted(edges.get(module, ())):
            if imported != module:
                visit(imported)
        on_the_way.pop()
        done.add(module)

    for module in sorted(edges):
        visit(module)


@pytest.mark.parametrize("path", [p for p in ENGINE if floor_of(module_name(p)) == 0], **ids)
def test_the_two_lowest_floors_know_no_tensor(path):
    names = {
        node.id if isinstance(node, ast.Name) else node.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name | ast.Attribute)
    }
    assert not names & {"Tensor", "Handle"}


@pytest.mark.parametrize("path", [*ENGINE, *sources("nn"), *sources("optim")], **ids)
def test_the_packages_import_numpy_alone_and_extras_where_they_are_used(path):
    own = module_name(path).split(".")[0]
    allowed = {"autograd_core": {"autograd_core"}, "nn": {"autograd_core", "nn", "optim"}, "optim": {"autograd_core", "optim"}}[own]
    for module, top in imports_of(path):
        package = module.split(".")[0]
        known = (
            package in sys.stdlib_module_names
            or package == "numpy"
            or package in allowed
            or (package in OPTIONAL and (not top or path.stem.startswith(package)))
        )
        assert known, f"{path.relative_to(ROOT)} imports {module}"


@pytest.mark.parametrize("path", [*sources("nn"), *sources("optim")], **ids)
def test_layers_and_optimizers_use_public_names_of_the_engine_only(path):
    tree = ast.parse(path.read_text())
    inner = [module for module, _ in imports_of(path) if module.startswith("autograd_core.")]
    assert not inner, f"imports {inner}; `import autograd_core as ag` and use what it exports"
    aliases = {a.asname or a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names if a.name == "autograd_core"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases:
            assert not node.attr.startswith("_")
            assert not inspect.ismodule(getattr(ag, node.attr)), f"ag.{node.attr} is a module of the engine's, not a public name"


def test_importing_the_packages_loads_no_library_but_numpy():
    def loaded(statement):
        code = f"{statement}; import sys; print(*{{m.split('.')[0] for m in sys.modules}})"
        return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT).stdout.split())

    more = loaded("import autograd_core, nn, optim") - loaded("import numpy.random") - set(sys.stdlib_module_names)
    assert more == {"autograd_core", "nn", "optim"}
