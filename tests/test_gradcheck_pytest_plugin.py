"""Tests of the pytest plugin, run by pytester in projects of their own, which find it as users do: by the package's entry point."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

QUIET = ("-p", "no:cacheprovider")

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
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=os.pathsep)
    return pytester


def test_the_plugin_is_registered_where_the_package_is_installed() -> None:
    found = importlib.metadata.entry_points(group="pytest11", name="autograd_core")
    assert {point.value for point in found} == {"pytest_autograd_core"}, 'pip install -e ".[dev]" registers it'


def test_a_run_that_checks_nothing_does_not_import_the_engine(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import sys\ndef test_it():\n    assert 'pytest_autograd_core' in sys.modules and 'autograd_core' not in sys.modules\n")
    pytester.runpytest_subprocess(*QUIET).assert_outcomes(passed=1)


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
    result = project.runpytest(*QUIET)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*gradcheck of square: WRONG*", "*likely cause*the sign is reversed*"])


def test_a_marked_test_that_returns_nothing_says_what_it_should_return(project: pytest.Pytester) -> None:
    project.makepyfile("import pytest\n@pytest.mark.gradcheck\ndef test_nothing():\n    pass\n")
    result = project.runpytest(*QUIET)
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
    project.runpytest(*QUIET).assert_outcomes(passed=2)


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
    result = project.runpytest(*QUIET, "--gradcheck-order=1")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([">       gradcheck(square, np.array([1.0, 2.0]))", "*GradcheckError: gradcheck of square: WRONG*"])
    assert "check_call" not in result.stdout.str(), "frames of the checker itself say nothing"


def test_registered_operations_become_tests_on_request(project: pytest.Pytester) -> None:
    project.makepyfile("import operations\ndef test_something(): pass\n")
    result = project.runpytest_subprocess(*QUIET, "--gradcheck", "-v")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*gradcheck?operations.cube? PASSED*", "*gradcheck?operations.square? FAILED*"])
    result.stdout.fnmatch_lines(["gradcheck of square: WRONG*", "*given*", "*expected*"])


def test_registered_operations_are_chosen_by_name_the_librarys_too(project: pytest.Pytester) -> None:
    project.makepyfile("import operations\n")
    result = project.runpytest_subprocess(*QUIET, "--gradcheck=np.sinh", "-v")
    result.assert_outcomes(passed=1)
    project.runpytest_subprocess(*QUIET, "--gradcheck=operations.cube").assert_outcomes(passed=1)


def test_the_seed_of_the_command_line_is_in_the_report(project: pytest.Pytester) -> None:
    project.makepyfile("import operations\n")
    result = project.runpytest_subprocess(*QUIET, "--gradcheck=square", "--gradcheck-seed=7")
    result.stdout.fnmatch_lines(["*seed 7*"])


def test_an_option_without_a_name_leaves_the_path_a_path(project: pytest.Pytester) -> None:
    project.makepyfile(test_some="import operations\n", test_others="def test_other(): pass\n")
    conftest = project.mkpydir("checks") / "conftest.py"
    conftest.write_text("import operations\ndef pytest_report_header(): return 'the conftest beside the path was loaded'\n")
    (project.path / "checks" / "test_inner.py").write_text("def test_inner(): pass\n")
    result = project.runpytest_subprocess(*QUIET, "--gradcheck", "checks/test_inner.py", "-v")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["the conftest beside the path was loaded"])
    result.stdout.no_fnmatch_line("*test_other*")


def test_checks_of_operations_are_chosen_by_expression_as_all_tests_are(project: pytest.Pytester) -> None:
    project.makepyfile("import operations\ndef test_something(): pass\n")
    project.runpytest_subprocess(*QUIET, "--gradcheck", "-k", "cube").assert_outcomes(passed=1, deselected=2)


def test_a_failed_marked_test_shows_the_users_source_and_none_of_the_plugins(project: pytest.Pytester) -> None:
    path = project.makepyfile(
        """
        import numpy as np, pytest
        from operations import square

        @pytest.mark.gradcheck(order=1)
        def test_square():
            x = np.array([1.0, -2.0])
            return square, x
        """
    )
    result = project.runpytest(*QUIET)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["    def test_square():", ">       return square, x", "E   GradcheckError: gradcheck of square: WRONG*"])
    result.stdout.fnmatch_lines([f"*{path.name}:7: GradcheckError"])
    result.stdout.no_fnmatch_line("*pytest_autograd_core*")
    result.stdout.no_fnmatch_line("*check_gradients*")


def test_an_operation_that_raises_in_a_check_shows_its_own_line(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import numpy as np, pytest
        import autograd_core as ag

        @ag.op(x=lambda g, x: g)
        def broken(x):
            raise ZeroDivisionError("what it says")

        @pytest.mark.gradcheck
        def test_broken():
            return broken, np.ones(2)
        """
    )
    result = project.runpytest_subprocess(*QUIET)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*what it says*"])
    result.stdout.no_fnmatch_line("*check_gradients*")


def test_operations_of_the_packages_beside_the_engine_are_not_the_projects(project: pytest.Pytester) -> None:
    project.makepyfile("import operations, nn, nn.functional, optim\n")
    project.runpytest_subprocess(*QUIET, "--gradcheck", "-v").assert_outcomes(passed=1, failed=1)


def test_a_projects_own_package_may_be_called_as_ours(project: pytest.Pytester) -> None:
    folder = project.mkpydir("nn")
    (folder / "own.py").write_text(OPERATIONS)
    project.makepyfile("import nn.own\n")
    result = project.runpytest_subprocess(*QUIET, "--gradcheck", "-v")
    result.stdout.fnmatch_lines(["*gradcheck?nn.own.cube? PASSED*"])
