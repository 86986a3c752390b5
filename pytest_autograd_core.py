"""A pytest plugin: gradient checks as tests.

It comes with the package (an entry point), so there is nothing to switch on; `-p no:autograd_core` switches it off.

    @pytest.mark.gradcheck                       the test returns what is to be checked: a function and its inputs
    def test_my_op():
        return my_op, np.ones((2, 3))

    def test_my_layer(gradcheck):                the fixture is `ag.gradcheck` with the options of the command line
        gradcheck(my_layer, x, order=1)

    pytest --gradcheck                           one more test for each operation that the project has registered
    pytest --gradcheck=np.linalg                 or for each whose name contains this, the library's own included

Every run of pytest imports this file where the package is installed, also runs that have nothing to do with it, and before a
measurement of coverage begins. So it stands beside the package, whose import it would trigger from inside, and imports it when
there is something to check.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from autograd_core.gradcheck.report.report import Report

__all__: list[str] = []

LIBRARIES = ("autograd_core", "numpy", "scipy", "operator", "_operator", "builtins")
BESIDE_THE_ENGINE = ("nn", "optim")  # common names: a project's own package may be called so too
MARKER = "gradcheck(order=2, seed=0, **options): check the function and inputs that the test returns; options as of ag.gradcheck"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The command line's options."""
    group = parser.getgroup("gradcheck", "gradient checks (autograd_core)")
    text = "also check the gradients of registered operations (whose name contains NAME)"
    group.addoption("--gradcheck", nargs="?", const="", default=None, metavar="NAME", help=text)
    group.addoption("--gradcheck-order", type=int, default=2, metavar="N", help="up to which order gradients are checked (default: 2)")
    group.addoption("--gradcheck-seed", type=int, default=0, metavar="SEED", help="seed of everything random in the checks (default: 0)")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """In `pytest --gradcheck tests/test_x.py` the path is a path: a name is given as `--gradcheck=NAME` only."""
    end = args.index("--") if "--" in args else len(args)
    if "--gradcheck" in args[:end]:
        args[:end] = ["--gradcheck=" if word == "--gradcheck" else word for word in args[:end]]
        known = parser.parse_known_args(args)
        early_config.known_args_namespace.gradcheck, early_config.known_args_namespace.file_or_dir = known.gradcheck, known.file_or_dir


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def gradcheck(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """`ag.gradcheck` with the order and seed of the command line as defaults."""
    defaults = _defaults(request.config)

    def check(function: Any, *inputs: Any, **options: Any) -> Report:
        __tracebackhide__ = True
        from autograd_core.gradcheck import gradcheck as check_gradients

        return check_gradients(function, *inputs, **{**defaults, **options})

    return check


def _defaults(config: pytest.Config) -> dict[str, Any]:
    return {"order": config.getoption("--gradcheck-order"), "seed": config.getoption("--gradcheck-seed")}


# --- the marker ------------------------------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object | None:
    """Run a marked test and check what it returns."""
    __tracebackhide__ = True
    marker = pyfuncitem.get_closest_marker("gradcheck")
    if marker is None:
        return None
    names = pyfuncitem._fixtureinfo.argnames
    returned = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    check_returned(pyfuncitem, returned, {**_defaults(pyfuncitem.config), **marker.kwargs})
    return True


def check_returned(item: pytest.Item, returned: Any, options: dict[str, Any]) -> None:
    """Check what a marked test returned: a function, or a tuple of a function (or a pair of functions) and its inputs."""
    __tracebackhide__ = True
    from autograd_core.gradcheck import gradcheck as check_gradients

    function, *inputs = returned if isinstance(returned, tuple) else (returned,)
    if not callable(function) and not (isinstance(function, tuple) and all(map(callable, function))):
        found = type(function).__name__
        pytest.fail(f"{item.name} is marked with gradcheck, so it must return a function and its inputs (return f, x, y), not {found}", pytrace=False)
    if inputs and all(map(callable, (function, inputs[0]))) and not hasattr(inputs[0], "shape"):
        function, inputs = (function, inputs[0]), inputs[1:]  # return forward, backward, x
    check_gradients(function, *inputs, **options)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where a marked test has returned already, and the check failed after it, show its source: the traceback holds nothing of the user's."""
    report = yield
    if report.when == "call" and call.excinfo is not None and isinstance(item, pytest.Function) and item.get_closest_marker("gradcheck"):
        from autograd_core.gradcheck import GradcheckError

        if isinstance(call.excinfo.value, GradcheckError) and not any(entry.path == item.path for entry in call.excinfo.traceback):
            report.longrepr = _marked_failure(item, call.excinfo.value)
    return report


def _marked_failure(item: pytest.Function, error: BaseException) -> str:
    """A marked test's source with its last line, which returned what is wrong, pointed at; and the report of the check."""
    lines, first = inspect.getsourcelines(item.function)
    while lines and not lines[-1].strip():
        lines.pop()
    last = max((i for i, line in enumerate(lines) if line.lstrip().startswith("return")), default=len(lines) - 1)
    source = [f"{'>' if i == last else ' '}   {line.rstrip()}" for i, line in enumerate(lines)]
    message = f"{type(error).__name__}: {error}".splitlines()
    place = f"{item.reportinfo()[0]}:{first + last}"
    return "\n".join([*source, *(f"E   {line}" for line in message), "", f"{place}: {type(error).__name__}"])


# --- registered operations -------------------------------------------------------------------------------------------------


class OperationItem(pytest.Item):
    """The gradient check of one registered operation."""

    function: Any

    def runtest(self) -> None:
        """Check on the operation's samples, or on arguments that it is found to accept."""
        from autograd_core.gradcheck import gradcheck as check_gradients

        check_gradients(self.function, **_defaults(self.config))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The report itself; the traceback of a check tells nothing."""
        from autograd_core.gradcheck import GradcheckError

        if isinstance(excinfo.value, GradcheckError | TypeError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the operation is defined."""
        code = getattr(getattr(self.function, "__wrapped__", self.function), "__code__", None)
        if code is None:
            return self.path, None, self.name
        return Path(code.co_filename), code.co_firstlineno - 1, self.name


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the registered operations: only now have all modules been imported. First of all, so that `-k` and `--lf` choose among them too."""
    pattern = config.getoption("--gradcheck")
    if pattern is None:
        return
    for name, function in registered(pattern):
        item = OperationItem.from_parent(session, name=f"gradcheck[{name}]")
        item.function = function
        items.append(item)


def registered(pattern: str) -> Iterator[tuple[str, Any]]:
    """The operations to check, with their full names: those of the project, or all whose name contains the pattern."""
    from autograd_core.tape.table import TABLE
    from autograd_core.tensor.protocols import full_name

    for function, op in TABLE.items():
        if not op.rules or isinstance(function, tuple):
            continue
        name = full_name(function)
        if pattern in name if pattern else not _is_of_a_library(getattr(function, "__module__", None) or "numpy"):
            yield name, function


def _is_of_a_library(module: str) -> bool:
    """Whether a module belongs to NumPy, SciPy, the engine, or the packages that come with the engine."""
    top = module.split(".")[0]
    return top in LIBRARIES or (top in BESIDE_THE_ENGINE and _folder(top) == _folder("autograd_core"))


def _folder(package: str) -> Path | None:
    """The folder that an imported package lies in."""
    file = getattr(sys.modules.get(package), "__file__", None)
    return None if file is None else Path(file).resolve().parents[1]
