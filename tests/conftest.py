"""What all tests share: one printed seed, deterministic property tests, and a strict mode in which nothing may be skipped.

A test that compares with a peer library asks for it by name, `torch = pytest.importorskip("torch")`, and is skipped where it
is not installed. With NO_SKIPS=1 (continuous integration, which installs the peers) a skipped test fails the run, unless it
needs a program that no package index has: a browser, or a C compiler, by which the loops of `ag.compile` are built in this checkout.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator

import hypothesis
import numpy as np
import pytest

import autograd_core as ag
from autograd_core.compiling import loops, loops_build

SEED = int(os.environ.get("SEED", "20"))
NO_SKIPS = os.environ.get("NO_SKIPS", "") not in ("", "0")

# derandomize: the same examples in every run; a failure that nobody can repeat is of no use.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("repeatable")

_skipped: list[str] = []
PROGRAMS_FROM_ELSEWHERE = ("needs Chromium", "needs a C compiler")


def _why_no_loops() -> str:
    """Builds the loops if they are missing or older than their source, as an editable installation would; says why it cannot."""
    try:
        loops.library()
    except loops.NoLoopsError:
        try:
            loops_build.build(loops_build.SOURCE.parent)
            loops.library()
        except (loops_build.CannotBuildError, loops.NoLoopsError) as error:
            return str(error)
    return ""


WHY_NO_LOOPS = _why_no_loops()


def pytest_report_header() -> str:
    replayed = f"Python only: {WHY_NO_LOOPS}" if WHY_NO_LOOPS else "Python and NumPy's loops"
    return f"seed: {SEED} (set SEED for another), skipped tests {'fail the run' if NO_SKIPS else 'are allowed'}, programs are replayed by {replayed}"


@pytest.fixture(scope="session")
def compiled_loops() -> None:
    """For tests of the loops back-end."""
    if WHY_NO_LOOPS:
        pytest.skip(f"needs a C compiler: {WHY_NO_LOOPS}")


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers that depend on the seed and the test's name only, not on which tests ran before."""
    return np.random.default_rng([SEED, zlib.crc32(request.node.nodeid.encode())])


@pytest.fixture(autouse=True)
def recording_mode_is_left_as_it_was() -> Iterator[None]:
    """Whatever a test raises or catches, the engine records afterwards."""
    yield
    assert ag.is_grad_enabled(), "this test left gradients switched off"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped.append(f"{report.nodeid}: {report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr}")


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        _skipped.append(f"{report.nodeid}: {report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if (
        NO_SKIPS
        and any(not any(reason in line for reason in PROGRAMS_FROM_ELSEWHERE) for line in _skipped)
        and session.exitstatus == pytest.ExitCode.OK
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _skipped:
        terminalreporter.section("skipped, which fails this run (NO_SKIPS is set)" if NO_SKIPS else "skipped")
        for line in _skipped:
            terminalreporter.line(line)
