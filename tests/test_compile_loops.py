"""NumPy's inner loops are found, compared with their ufuncs, and done without where they cannot be had."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autograd_core.compiling import loops, loops_build
from autograd_core.compiling.segments import trusted_loop

needs_loops = pytest.mark.usefixtures("compiled_loops")
UFUNCS = sorted({u for u in vars(np).values() if isinstance(u, np.ufunc)}, key=lambda u: u.__name__)


@needs_loops
@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda u: u.__name__)
def test_each_loop_of_plain_numbers_is_found_and_computes_as_its_ufunc(ufunc: np.ufunc) -> None:
    plain = [text for text in ufunc.types if set(text) <= set(loops.PLAIN_DTYPES + "->")]
    for text in plain[:: 1 if len(plain) < 6 else 3]:
        dtypes = tuple(map(np.dtype, text.replace("->", "")))
        raising = ufunc is np.power and dtypes[0].kind in "iu"  # takes the interpreter's lock back to raise an error
        assert (trusted_loop(ufunc, dtypes) is None) == raising, text


@needs_loops
def test_there_is_no_loop_of_objects_dates_other_byte_orders_or_dtypes_that_have_none() -> None:
    for dtypes in ("OOO", "Mmm", ">d>d>d", "fdd", "ddf"):
        found = tuple(np.dtype(c) for c in (dtypes if ">" not in dtypes else [">d"] * 3))
        assert loops.loop_of(np.add, found) is None


@needs_loops
def test_a_loop_that_computes_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import autograd_core.compiling.segments as segments

    monkeypatch.setattr(segments, "loop_of", lambda ufunc, dtypes: loops.loop_of(np.subtract, dtypes))
    with pytest.raises(loops.NoLoopsError, match=r"NumPy .* computes add by another loop"):
        segments.trusted_loop.__wrapped__(np.add, (np.dtype("d"),) * 3)


@needs_loops
def test_a_binary_of_another_source_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops_build, "digest", lambda: 1)
    with pytest.raises(loops.NoLoopsError, match=r"compiled from another version of loops\.c"):
        loops.library.__wrapped__()


def test_a_missing_binary_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops_build, "BINARY", "nowhere.so")
    with pytest.raises(loops.NoLoopsError, match=r"were not compiled when autograd-core was installed \(nowhere\.so is missing\)"):
        loops.library.__wrapped__()


@needs_loops
def test_the_binary_is_built_into_any_folder(tmp_path: Path) -> None:
    binary = loops_build.build(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [binary.name] == [loops_build.BINARY]


def test_without_a_compiler_or_with_one_that_fails_the_reason_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(loops_build.sysconfig, "get_config_var", lambda name: "")
    with pytest.raises(loops_build.CannotBuildError, match=r"^no C compiler was found"):
        loops_build.build(tmp_path)
    fails = tmp_path / "fails"
    fails.write_text("#!/bin/sh\necho 'no licence' >&2\nexit 3\n")
    fails.chmod(0o755)
    monkeypatch.setenv("CC", f"{fails} -m64")
    with pytest.raises(loops_build.CannotBuildError, match=r"fails -m64 .*: exit code 3\nno licence"):
        loops_build.build(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["fails"]
