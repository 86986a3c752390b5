"""Tests of the pytest plugin, run by pytester in projects of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

PLUGIN = ("-p", "autograd_core.gradcheck.pytest_plugin", "-p", "no:cacheprovider")

OPERATIONS = """
import numpy as np
import autograd_core as ag

@ag.op(x=lambda g, x: 3 * g * x * x)
def cube(x):
    return x * x * x

@ag.op(x=lambda g, x: -2 * g * x)
def square(x):
    return x * x
"""


# Registered operations stay registered in this process, so the tests of --gradcheck run in one of their own.


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    pytester.makepyfile(operations=OPERATIONS)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    return pytester


def test_a_marked_test_checks_what_it_returns(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import numpy as np, pytest
        from operations import cube, square

        @pytest.mark.gradcheck
        def test_cube():
            return cube, np.array([1.0, -2.0])

        @pytest.mark.gradcheck(order=1)
        def test_square():
            return square, np.array([1.0, -2.0])

        @pytest.mark.gradcheck
        def test_pair():
            return np.sin, lambda g, x: g * np.cos(x), np.array([0.5])
        """
    )
    result = project.runpytest(*PLUGIN)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*gradcheck of square: WRONG*", "*likely cause*the sign is reversed*"])


def test_a_marked_test_that_returns_nothing_says_what_it_should_return(project: pytest.Pytester) -> None:
    project.makepyfile("import pytest\n@pytest.mark.gradcheck\ndef test_nothing():\n    pass\n")
    result = project.runpytest(*PLUGIN)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*must return a function and its inputs*"])


def test_marked_tests_take_fixtures_and_parameters(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import numpy as np, pytest
        from operations import cube

        @pytest.fixture
        def x():
            return np.array([1.0, -2.0])

        @pytest.mark.gradcheck
        @pytest.mark.parametrize("factor", [1.0, 2.0])
        def test_cube(x, factor):
            return cube, factor * x
        """
    )
    project.runpytest(*PLUGIN).assert_outcomes(passed=2)


def test_the_fixture_checks_and_its_failure_shows_the_callers_line_and_the_report(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import numpy as np
        from operations import cube, square

        def test_right(gradcheck):
            assert gradcheck(cube, np.array([1.0, 2.0])).order == 1

        def test_wrong(gradcheck):
            gradcheck(square, np.array([1.0, 2.0]))
        """
    )
    result = project.runpytest(*PLUGIN, "--gradcheck-order=1")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([">       gradcheck(square, np.array([1.0, 2.0]))", "*GradcheckError: gradcheck of square: WRONG*"])
    assert "check_call" not in result.stdout.str(), "frames of the checker itself say nothing"


def test_registered_operations_become_tests_on_request(project: pytest.Pytester) -> None:
    project.makepyfile("import operations\ndef test_something(): pass\n")
    result = project.runpytest_subprocess(*PLUGIN, "--gradcheck", "-v")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*gradcheck?operations.cube? PASSED*", "*gradcheck?operations.square? FAILED*"])
    result.stdout.fnmatch_lines(["gradcheck of square: WRONG*", "*given*", "*expected*"])


def test_registered_operations_are_chosen_by_name_the_librarys_too(project: pytest.Pytester) -> None:
    project.makepyfile("import operations\n")
    result = project.runpytest_subprocess(*PLUGIN, "--gradcheck=np.sinh", "-v")
    result.assert_outcomes(passed=1)
    project.runpytest_subprocess(*PLUGIN, "--gradcheck=operations.cube").assert_outcomes(passed=1)


def test_the_seed_of_the_command_line_is_in_the_report(project: pytest.Pytester) -> None:
    project.makepyfile("import operations\n")
    result = project.runpytest_subprocess(*PLUGIN, "--gradcheck=square", "--gradcheck-seed=7")
    result.stdout.fnmatch_lines(["*seed 7*"])
