"""The page for users of HIPS autograd: its blocks run, and both sides of its tables give the same numbers, or those it says."""

from __future__ import annotations

import importlib
import re
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

import autograd_core as ag

scipy = pytest.importorskip("scipy")
importlib.import_module("scipy.special")
importlib.import_module("scipy.stats")

PAGE = (Path(__file__).parent.parent / "notebooks" / "from_hips_autograd.md").read_text()
# (kind, line, text) of each block; the kind is "", "names", "both" or "hips".
BLOCKS = [(m[1].strip(), PAGE[: m.start(2)].count("\n"), m[2]) for m in re.finditer(r"```python([^\n]*)\n(.*?)```", PAGE, re.DOTALL)]


def table_rows(heading):
    """The cells of the table rows below a heading, without backticks."""
    section = re.split(r"\n## ", PAGE.split(f"\n## {heading}\n")[1])[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in re.split(r"\|(?=(?:[^`]*`[^`]*`)*[^`]*$)", row)[1:-1]] for row in rows]


def code(cell):
    found = re.fullmatch(r"`(.*)`", cell)
    assert found, cell
    return found[1]


PAIRS = [(code(row[0]), code(row[1])) for heading in ("Derivatives", "Containers, fixed points, checks", "SciPy") for row in table_rows(heading)]
(VERSION,) = re.findall(r"\(with autograd (.*?)\)", PAGE)
DIFFERENCES = [tuple(map(code, row[:3])) for row in table_rows("Where the numbers differ")]


def run(kinds, names, until=None):
    """Run the page's blocks of some kinds, in order."""
    for kind, line, text in BLOCKS:
        if kind in kinds:
            exec(compile("\n" * line + text, "from_hips_autograd.md", "exec"), names)
    return names


@pytest.fixture(scope="module")
def ours():
    # Each block that is not theirs, in the page's order, as a reader would.
    return run(("", "names", "both"), {"scipy": scipy})


@pytest.fixture(scope="module")
def theirs():
    pytest.importorskip("autograd")
    import autograd.builtins
    import autograd.misc
    import autograd.misc.fixed_points
    import autograd.scipy.linalg
    import autograd.scipy.signal
    import autograd.scipy.special
    import autograd.test_util

    names = {name: getattr(autograd, name) for name in dir(autograd) if not name.startswith("_")}
    names |= {"np": autograd.numpy, "flatten": autograd.misc.flatten, "fixed_point": autograd.misc.fixed_points.fixed_point}
    names |= {"special": autograd.scipy.special, "linalg": autograd.scipy.linalg, "signal": autograd.scipy.signal}
    names |= {"check_grads": autograd.test_util.check_grads, "tuple": autograd.builtins.tuple, "isinstance": autograd.builtins.isinstance}
    return run(("names", "both", "hips"), names)


def numbers(value):
    """A nest of containers as a list of arrays, dicts in the order of their keys."""
    if isinstance(value, dict):
        return [part for key in sorted(value) for part in numbers(value[key])]
    if isinstance(value, tuple | list):
        return [part for item in value for part in numbers(item)]
    return [] if value is None else [np.asarray(value._array if isinstance(value, ag.Tensor) else value)]


def test_the_page_was_read():
    assert len(PAIRS) > 35
    assert len(DIFFERENCES) > 14
    assert [kind for kind, _, _ in BLOCKS].count("hips") == 3


@pytest.mark.parametrize(("left", "right"), PAIRS, ids=[left for left, _ in PAIRS])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
def test_both_sides_of_a_row_give_the_same(left, right, theirs, ours):
    found = eval(right, dict(ours))
    try:
        expected = eval(left, dict(theirs))
    except ModuleNotFoundError as error:
        assert error.name == "funcsigs"  # noqa: PT017 - the page says that theirs needs it
        expected = {"x": theirs["grad"](theirs["two"], 0)(theirs["x"], theirs["v"]), "y": theirs["grad"](theirs["two"], 1)(theirs["x"], theirs["v"])}
    if expected is None:
        assert found is True or found is None  # a check that passed
        return
    found, expected = numbers(found), numbers(expected)
    assert len(found) == len(expected) > 0
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert np.allclose(a, b, rtol=1e-9, atol=1e-12)


def outcome(expression, names):
    """The value of an expression, or the name of the exception that it raises."""
    try:
        return eval(expression, names)
    except (NotImplementedError, ValueError, RuntimeError, ZeroDivisionError, TypeError) as error:
        return type(error).__name__


def assert_is(found, cell):
    if re.fullmatch(r"\w+Error", cell):
        assert found == cell
    elif cell.startswith('"'):
        assert found == cell.strip('"')
    else:
        assert np.allclose(found, np.array(eval(cell, {"nan": np.nan})), rtol=1e-9, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize(("line", "here"), [(row[0], row[2]) for row in DIFFERENCES], ids=[row[0] for row in DIFFERENCES])
def test_the_numbers_here_are_those_that_the_page_says(line, here, ours):
    ours["a"][:] = 1.0
    assert_is(outcome(line, {**ours, "grad": ag.grad}), here)


@pytest.mark.parametrize(("line", "there"), [row[:2] for row in DIFFERENCES], ids=[row[0] for row in DIFFERENCES])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
def test_the_numbers_there_are_those_that_the_page_says(line, there, theirs):
    theirs["a"][:] = 1.0
    if metadata.version("autograd") != VERSION:
        return  # the page tells of this one
    assert_is(outcome(line, dict(theirs)), there)


@pytest.mark.parametrize(("name", "accuracy"), [("by_adam", 1e-12), ("found", 1e-12), ("slope", 1e-8)])
def test_the_blocks_of_both_give_the_same(name, accuracy, theirs, ours):
    for a, b in zip(numbers(ours[name]), numbers(theirs[name]), strict=True):
        assert np.allclose(a, b, rtol=accuracy, atol=accuracy)


DENSITIES = {
    "norm": ((0.3, 0.5, 1.5), scipy.stats.norm.logpdf),
    "t": ((0.3, 2.5), scipy.stats.t.logpdf),
    "gamma": ((0.7, 2.5), scipy.stats.gamma.logpdf),
    "chi2": ((0.7, 3.0), scipy.stats.chi2.logpdf),
    "beta": ((0.3, 1.5, 2.5), scipy.stats.beta.logpdf),
    "poisson": ((2.0, 1.5), scipy.stats.poisson.logpmf),
    "dirichlet": ((np.array([0.2, 0.3, 0.5]), np.array([1.5, 2.0, 0.7])), scipy.stats.dirichlet.logpdf),
    "multivariate_normal": (
        (np.array([0.2, 0.3]), np.array([0.1, -0.4]), np.array([[1.5, 0.2], [0.2, 0.7]])),
        scipy.stats.multivariate_normal.logpdf,
    ),
}


@pytest.mark.parametrize("name", DENSITIES)
def test_a_density_has_scipys_value_and_hips_autograds_gradient(name, ours):
    args, density = DENSITIES[name]
    function = ours["logpdf"][name]
    assert np.isclose(function(*args), density(*args), rtol=1e-12)
    pytest.importorskip("autograd")
    import autograd
    import autograd.scipy.stats as stats

    module = getattr(stats, name)
    compared = module.logpmf if name == "poisson" else module.logpdf
    for i in range(name == "poisson", len(args)):
        try:
            expected = autograd.grad(lambda *args: np.sum(compared(*args)) if not np.ndim(args[0]) else compared(*args), i)(*args)
        except NotImplementedError:
            continue  # theirs has no rule for this argument
        assert np.allclose(ag.grad(function, i)(*args), expected, rtol=1e-9)


def test_every_name_that_hips_autograd_exports_is_on_the_page(theirs):
    import autograd
    import autograd.extend

    public = {name for name in dir(autograd) if not name.startswith("_") and callable(getattr(autograd, name))}
    public |= {name for name in dir(autograd.extend) if not name.startswith("_")} - {"JVPNode", "VJPNode"}
    missing = {name for name in public if not re.search(rf"\b{name}\b", PAGE)}
    assert not missing


def test_every_name_of_this_package_on_the_page_exists():
    for name in re.findall(r"\bag\.(\w+)", PAGE):
        assert hasattr(ag, name), name
