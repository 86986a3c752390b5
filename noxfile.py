"""The steps that check this project: `nox --list`. They use the environment that nox runs in, which has `pip install -e ".[dev]"`."""

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "tests"]
PACKAGES = ("autograd_core", "nn", "optim", "tools", "pytest_autograd_core.py")


@nox.session
def lint(session: nox.Session) -> None:
    """Style: ruff, and whether everything is formatted."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(name="format", default=False)
def format_all(session: nox.Session) -> None:
    """Format everything, and mend what can be mended."""
    session.run("ruff", "check", "--fix", ".")
    session.run("ruff", "format", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types, strictly."""
    session.run("mypy", *PACKAGES)


@nox.session
def tests(session: nox.Session) -> None:
    """The tests, those in docstrings included; `nox -s tests -- tests/test_floors.py` for some of them."""
    session.run("pytest", *(session.posargs or ("-n", "auto", "--dist", "worksteal")))


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Ratios of times to careful NumPy and to the peers that are installed."""
    session.run("python", "-m", "tools.bench.engine", *session.posargs)
