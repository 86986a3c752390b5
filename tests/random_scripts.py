"""Random scripts: what a user of NumPy does to arrays, line by line, as Python text that NumPy and the tape run alike.

    x0 = input, float64 (2, 3)                       leaves: 0-d, of one element, of any shape; float32, complex
    v0 = np.sin(x0) * s0                             operations, also with a pandas Series, a DataFrame, xarray, lists, NumPy scalars
    v1 = v0[1:]                                      views
    v1[0] = x0[0] * 2.0                              writes through them, of numbers, tensors, foreign arrays
    v0 *= v1                                         augmented assignment
    refused: v0 * m0                                 what must be refused, and leave no trace

A name is given to one array only, as `a = b; a += 1` means one thing for arrays and another for values. tests/random_programs.py has
programs of all operations of the table; these have few operations, and all ways of writing.
"""

from __future__ import annotations

import functools
import random
import warnings
from collections.abc import Callable
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

import autograd_core as ag

__all__ = ["Constant", "Line", "Script", "World", "make_script", "use_of"]

LARGEST = 20.0
MOST_ELEMENTS = 48
SHAPES = [(), (), (1,), (3,), (4,), (2, 3), (3, 2), (1, 1), (3, 1), (2, 2), (2, 1, 3)]

# --- constants, plain and foreign ---------------------------------------------------------------------------------------------------


def _series(a: Any) -> Any:
    import pandas as pd

    return pd.Series(a, index=list(reversed(range(3, 3 + len(a)))))


def _frame(a: Any) -> Any:
    import pandas as pd

    return pd.DataFrame(a, index=[f"r{i}" for i in range(len(a))][::-1])


def _data_array(a: Any) -> Any:
    import xarray as xr

    return xr.DataArray(a, dims=[f"d{i}" for i in range(a.ndim)], coords={f"d{i}": np.arange(n)[::-1] for i, n in enumerate(a.shape)})


def _polars(a: Any) -> Any:
    import polars as pl

    return pl.Series(a)


def _read_only(a: Any) -> Any:
    a = a.copy()
    a.flags.writeable = False
    return a


def _installed(name: str) -> bool:
    try:
        __import__(name)
    except ImportError:
        return False
    return True


class Foreign(NamedTuple):
    """A kind of constant: how it is made of a plain array, of which numbers of axes, and whether arithmetic may begin with it."""

    make: Callable[[Any], Any]
    axes: tuple[int, ...]
    on_the_left: bool = True
    in_single: bool = True
    needs: str = "numpy"


KINDS = {
    "array": Foreign(lambda a: a.copy(), (0, 1, 2)),
    "read-only": Foreign(_read_only, (1, 2)),
    "strided": Foreign(lambda a: np.repeat(a, 2, axis=0)[::2], (1, 2)),
    "Fortran": Foreign(np.asfortranarray, (2,)),
    "scalar": Foreign(lambda a: a[()], (0,)),
    "list": Foreign(lambda a: a.tolist(), (1, 2), in_single=False),
    "Series": Foreign(_series, (1,), needs="pandas"),
    "DataFrame": Foreign(_frame, (2,), needs="pandas"),
    "DataArray": Foreign(_data_array, (1, 2), needs="xarray", on_the_left=False),
    "polars": Foreign(_polars, (1,), needs="polars", on_the_left=False),
}
KINDS = {name: kind for name, kind in KINDS.items() if _installed(kind.needs)}

REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "masked": (lambda a: np.ma.masked_array(a, a > 0), "masked array"),
    "matrix": (lambda a: a.reshape(1, -1).view(np.matrix), "matrix"),
    "objects": (lambda a: a.astype(object), "Python objects"),
}


class Constant(NamedTuple):
    """An array that a script uses, and the kind of object that it is given as."""

    kind: str
    array: Any

    def given(self, single: bool) -> Any:
        make = KINDS[self.kind].make if self.kind in KINDS else REFUSED[self.kind][0]
        return make(self.array.astype(np.float32) if single else self.array)

    def plain(self, single: bool) -> Any:
        """What NumPy is given for it: an array, or a list."""
        if self.kind == "list":
            return self.array.tolist()
        # In its own order, which later lines see: a reshape of what is computed of it may be a copy.
        array = self.array.astype(np.float32) if single else self.array
        return np.asfortranarray(array) if self.kind == "Fortran" else array


# --- scripts ----------------------------------------------------------------------------------------------------------------------------


class Line(NamedTuple):
    """One statement: its kind, its text, the name that it binds or changes, and what it must be refused with, if it must."""

    kind: str
    text: str
    code: CodeType
    target: str
    refused: tuple[type[Exception], str] | None = None


class Script(NamedTuple):
    """The lines, the inputs (in double precision), constants by name, and whether single precision is meant."""

    seed: int
    inputs: dict[str, Any]
    constants: dict[str, Constant]
    lines: list[Line]
    single: bool

    def __repr__(self) -> str:
        head = [f"seed {self.seed}"]
        head += [f"{n} = input, {np.array(a, self.dtype(a.dtype)).dtype} {a.shape}" for n, a in self.inputs.items()]
        head += [f"{n} = {c.kind} {c.array.tolist()}" for n, c in self.constants.items()]
        return "\n".join(head + [("refused: " if line.refused else "") + line.text for line in self.lines])

    def dtype(self, dtype: Any) -> Any:
        """The dtype of this script's precision that stands for a double one."""
        return dtype if not self.single else np.dtype(np.complex64 if dtype.kind == "c" else np.float32)

    def given_inputs(self) -> list[Any]:
        return [np.asarray(a, self.dtype(a.dtype)) for a in self.inputs.values()]


class World:
    """The names of a script that is being run: with arrays (of NumPy's semantics) or with tensors.

    constants  the foreign objects by name, if they were made already
    refuses    whether what must be refused is tried: inputs have to be leaves
    """

    def __init__(self, script: Script, inputs: Any, *, single: bool, plain: bool = False, constants: Any = None, refuses: bool = False) -> None:
        self.script, self.plain, self.refuses = script, plain, refuses
        real = np.float32 if single else np.float64
        if constants is None:
            constants = {n: c.plain(single) if plain else c.given(single) for n, c in script.constants.items()}
        self.names: dict[str, Any] = {"np": np, "R": weights(single).real, "W": weights(single), "loss": real(0.0), **constants}
        self.names["zeros"] = (lambda shape: np.zeros(shape, real)) if plain else (lambda shape: ag.tensor(np.zeros(shape, real)))
        self.names.update(zip(script.inputs, inputs, strict=True))

    def run(self, lines: list[Line] | None = None) -> Any:
        """The loss after the lines (all, if none are given)."""
        for line in self.script.lines if lines is None else lines:
            self.step(line)
        return self.names["loss"]

    def step(self, line: Line) -> None:
        names = self.names
        if line.refused is not None:
            if self.refuses:
                self._refused(line.text, line.code, *line.refused)
            return
        exec(line.code, names)
        if self.plain and line.target:
            value = names.get(line.target)
            if value is not None and type(value) is not np.ndarray:
                names[line.target] = np.asarray(value)  # NumPy's functions return scalars for 0-d arrays, which no line can write to

    def _refused(self, text: str, code: CodeType, kind: type[Exception], words: str) -> None:
        try:
            exec(code, self.names)
        except kind as error:
            if words in str(error):
                return
            raise AssertionError(f"{text}: {error!r} does not say {words!r}") from error
        raise AssertionError(f"{text}: was not refused")

    def variables(self) -> dict[str, Any]:
        """The arrays or tensors that have names."""
        return {n: v for n, v in self.names.items() if n[0] in "xv" and n[1:].isdigit()}


@functools.cache
def weights(single: bool) -> Any:
    draw = np.random.default_rng(5)
    w = draw.normal(size=1000) + 0.5j * draw.normal(size=1000)
    return w.astype(np.complex64) if single else w


# --- how lines are made -----------------------------------------------------------------------------------------------------------------

UNARY = [
    "np.sin({a})",
    "np.tanh(np.real({a}))",
    "np.exp(-0.5 * np.abs({a}) ** 2)",
    "0.5 * {a} * {a}",
    "{a} ** 2",
    "{a}.conj() * {a}",
    "np.sqrt(1.0 + np.abs({a}) ** 2)",
    "{a}.copy()",
    "-{a}",
    "{a} * 1.0",
    "np.where(np.real({a}) > 0, {a}, 0.5 * {a})",
    "np.abs({a})",
    "np.concatenate([np.ravel({a}), 2 * np.ravel({a})])",
    "np.stack([{a}, {a} * {a}])",
    "{a}.sum()",
    "np.sum({a}, axis=0)",
    "{a}.mean(axis=-1, keepdims=True)",
    "np.cumsum({a})",
    "np.max(np.real({a}))",
    "np.sort(np.real({a}))",
    "np.prod({a})",
    "{a} @ {a}.T",
    "np.einsum('...i,...i->...', {a}, {a})",
    "{a}[[0, 0, -1]]",
    "{a}[np.real({a}) > 0]",
    "np.repeat({a}, 2)",
    "np.clip(np.real({a}), -0.8, 0.9)",
    "np.broadcast_to({a}, (2, *{a}.shape)) * {a}",
    "1j * {a} + 0.5",
    "np.real({a}) * 1.0",
    "np.linalg.norm({a})",
    "1.0 / (1.5 + np.abs({a}))",
    "np.pad({a}, 1)",
    "np.roll({a}, 1)",
    "np.diff({a})",
    "np.outer({a}, {a})",
    "np.trace({a})",
    "np.var({a})",
]
BINARY = [
    "{a} + {b}",
    "{a} - {b}",
    "{a} * {b}",
    "{a} / (2.0 + np.abs({b}) ** 2)",
    "np.maximum(np.real({a}), np.real({b}))",
    "np.hypot(np.real({a}), np.real({b}))",
    "np.arctan2(np.real({a}), 2.0 + np.real({b}) ** 2)",
    "np.where(np.real({a}) > np.real({b}), {a}, {b})",
    "np.outer({a}, {b})",
    "{a} @ {b}",
    "np.concatenate([np.ravel({a}), np.ravel({b})])",
    "np.stack([{a}, {b}])",
    "np.logaddexp(np.real({a}), np.real({b}))",
    "np.multiply({a}, {b})",
    "np.dot({a}, {b})",
    "(1.5 + np.abs({a})) ** np.real({b})",
]
VIEWS = [
    "{a}[1:]",
    "{a}[:2]",
    "{a}[::-1]",
    "{a}[0]",
    "{a}[-1]",
    "{a}[..., -1:]",
    "{a}[..., 0]",
    "{a}[:, 0]",
    "{a}[1::2]",
    "{a}[...]",
    "{a}[None]",
    "{a}[:, None]",
    "{a}.T",
    "{a}.reshape(-1)",
    "{a}.reshape({a}.shape[::-1])",
    "np.reshape({a}, (-1, 1))",
    "np.ravel({a})",
    "{a}.ravel()",
    "np.swapaxes({a}, 0, -1)",
    "np.expand_dims({a}, 0)",
    "np.squeeze({a})",
    "np.transpose({a})",
    "np.moveaxis({a}, 0, -1)",
    "np.flip({a})",
    "np.split({a}, 2)[1]",
    "{a}[1:][0]",
    "{a}.T[0]",
    "{a}[0][None]",
]
WITH_FOREIGN = [
    "{a} * {c}",
    "{a} + {c}",
    "{a} - {c}",
    "{a} / (3.0 + np.abs({c}))",
    "np.multiply({a}, {c})",
    "np.maximum(np.real({a}), {c})",
    "np.arctan2(np.real({a}), {c})",
    "np.where(np.real({a}) > {c}, {a}, {c})",
    "np.dot({a}, {c})",
    "{a} @ {c}",
    "np.concatenate([{a}, {c}])",
    "np.outer({a}, {c})",
    "{a}[0] + {a}[-1] * {c}",
]
FOREIGN_FIRST = [
    "{c} * {a}",
    "{c} + {a}",
    "{c} - {a}",
    "{c} / (2.0 + np.abs({a}))",
    "np.add({c}, {a})",
    "np.hypot({c}, np.real({a}))",
    "np.where(np.real({a}) > 0, {c}, {a})",
]
INDICES = [
    ["...", "()", "None"],
    ["0", "-1", "1", "1:", ":2", "::-1", "::2", "..., 0", "..., -1:", "[0, -1]", "[1, 0]", "None, 0"],
    ["0, 0", "1, 1", "-1, 0", ":, 0", ":, ::-1", "0, 1:", "[0, -1], 0", "..., [1, 0]"],
]
TEMPORARY = ["{a}[0]", "{a}[1:]", "{a}.T", "{a}.reshape(-1)", "{a}[::-1]", "{a}[..., -1:]", "np.swapaxes({a}, 0, -1)"]
OPERATORS = ["+=", "-=", "*=", "/="]
REFUSED_USES = ["{a} * {m}", "np.maximum(np.real({a}), {m})", "np.arctan2(np.real({a}), {m})", "row = {a} * 1.0; row[...] = {m}"]
REFUSED_LINES: list[tuple[str, type[Exception], str]] = [
    ("{leaf}[...] = 0.5", RuntimeError, "leaf"),
    ("{leaf} *= 0.5", RuntimeError, "leaf"),
    ("{leaf}[...][...] = 0.5", RuntimeError, "leaf"),
    ("np.asarray({leaf})", TypeError, "detach"),
    ("np.add({leaf}, 1.0, out=np.zeros({leaf}.shape))", TypeError, "out="),
]
KINDS_OF_LINES = ["operation", "view", "foreign", "write", "augmented", "augmented_item", "use"] * 2 + [
    "view",
    "added_at",
    "rows",
    "buffer",
    "forgotten",
]


class Maker:
    """Makes one script: proposes lines, lets NumPy run them, and keeps those that it can run."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.draw = np.random.default_rng(seed)
        self.complex = self.random.random() < 0.25
        single = self.random.random() < 0.25
        inputs = {f"x{i}": self.input() for i in range(self.random.choice([1, 1, 2, 2, 3]))}
        self.script = Script(seed, inputs, {}, [], single)
        self.count = 0
        self.restore()

    def choose(self, options: Any) -> Any:
        return options[int(self.random.random() * len(options))]

    def input(self) -> Any:
        shape = self.choose(SHAPES)
        imaginary = 1j * self.draw.normal(size=shape) if self.complex and self.random.random() < 0.6 else 0.0
        return np.asarray(self.draw.normal(size=shape) + imaginary)

    def restore(self) -> None:
        """A world in which all lines so far have run."""
        self.world = World(self.script, [a.copy() for a in self.script.inputs.values()], plain=True, single=False)
        self.world.run()

    # What lines are made of.

    def variable(self, writeable: bool = False) -> str:
        """The name of an array; a leaf, or what shows the memory of one, is not written to."""
        variables = self.world.variables()
        if writeable:
            leaves = [variables[n] for n in self.script.inputs]
            variables = {n: v for n, v in variables.items() if v.flags.writeable and not any(np.may_share_memory(v, leaf) for leaf in leaves)}
        elif self.random.random() < 0.4:
            return self.choose(list(self.script.inputs))
        return self.choose(list(variables)) if variables else ""

    def constant(self, like: str) -> str:
        """The name of a constant, new or used before; a new one has the shape of `like`, or of its rows."""
        constants = [n for n, c in self.script.constants.items() if c.kind in KINDS]
        if constants and self.random.random() < 0.3:
            return self.choose(constants)
        shape = self.world.names[like].shape
        if self.random.random() < 0.25:
            shape = shape[1:]
        kinds = [n for n, k in KINDS.items() if len(shape) in k.axes and (k.in_single or not self.script.single)]
        if not kinds:
            return "R[3]"  # of the precision that is meant
        return self.new_constant(f"c{len(self.script.constants)}", self.choose(kinds), shape)

    def new_constant(self, name: str, kind: str, shape: tuple[int, ...]) -> str:
        made = self.script.constants[name] = Constant(kind, np.asarray(self.draw.normal(size=shape)))
        self.world.names[name] = made.plain(single=False)
        return name

    def index(self, name: str) -> str:
        return self.choose([text for texts in INDICES[: 1 + self.world.names[name].ndim] for text in texts])

    def number(self) -> str:
        return f"{self.random.uniform(-1.5, 1.5):.3f}"

    def value(self, like: str, tensors: bool = False) -> str:
        """What is written: a number, a variable or an element of one, a constant of any kind, a list (of tensors, where that is taken)."""
        name = self.variable()
        way = self.random.randrange(6)
        if way == 0:
            return self.number()
        if way == 1:
            return self.constant(like)
        if way == 2:
            texts = [f"[{name}[0], {self.number()}]", f"[{name}.sum(), {name}.mean()]"]
            return self.choose(texts) if tensors else self.number() if self.script.single else f"[{self.number()}, {self.number()}]"
        return [name, f"0.5 * {name}", f"{name}[{self.index(name)}]"][way - 3]

    def bound(self, text: str) -> tuple[str, str]:
        """The line that gives a name to the value of `text`: a new name, or now and then one that was used."""
        computed = self.computed()
        if computed and self.random.random() < 0.15:
            name = self.choose(computed)
        else:
            name = f"v{self.count}"
            self.count += 1
        return name, f"{name} = {text}"

    def computed(self) -> list[str]:
        return [n for n in self.world.variables() if n not in self.script.inputs]

    # The kinds of lines: each gives the name that the line binds, and its text.

    def operation(self) -> tuple[str, str]:
        a, b = self.variable(), self.variable()
        return self.bound(self.choose(UNARY if self.random.random() < 0.6 else BINARY).format(a=a, b=b))

    def view(self) -> tuple[str, str]:
        return self.bound(self.choose(VIEWS).format(a=self.variable(writeable=self.random.random() < 0.8) or self.variable()))

    def foreign(self) -> tuple[str, str]:
        a = self.variable()
        c = self.constant(a)
        leads = c in self.script.constants and KINDS[self.script.constants[c].kind].on_the_left and self.random.random() < 0.3
        return self.bound(self.choose(FOREIGN_FIRST if leads else WITH_FOREIGN).format(a=a, c=c))

    def place(self, a: str) -> str:
        """Items of `a`, or of a view that has no name."""
        temporary = self.world.names[a].ndim and self.random.random() < 0.3
        return f"{self.choose(TEMPORARY).format(a=a) if temporary else a}[{self.index(a)}]"

    def write(self) -> tuple[str, str]:
        a = self.variable(writeable=True)
        if not a:
            return self.operation()
        if self.random.random() < 0.15:
            return "", f"{a}[np.real({a}) > {self.number()}] {self.choose(['=', '*=', '+='])} {self.number()}"
        return "", f"{self.place(a)} = {self.value(a, tensors=True)}"

    def augmented(self) -> tuple[str, str]:
        a = self.variable(writeable=True)
        if not a:
            return self.operation()
        return a, f"{a} **= 2" if self.random.random() < 0.1 else f"{a} {self.choose(OPERATORS)} {self.value(a)}"

    def augmented_item(self) -> tuple[str, str]:
        a = self.variable(writeable=True)
        if not a:
            return self.operation()
        if self.world.names[a].ndim and self.random.random() < 0.2:
            return "", self.choose([f"{a}[1:] += {a}[:-1]", f"{a}[:-1] *= {a}[1:]", f"{a}.T[...] += {a}", f"{a}[::-1] -= 0.5 * {a}"])
        return "", f"{self.place(a)} {self.choose(OPERATORS)} {self.value(a)}"

    def added_at(self) -> tuple[str, str]:
        a = self.variable(writeable=True)
        if not a or not self.world.names[a].ndim:
            return self.operation()
        return "", f"np.add.at({a}, {self.choose(['[0, 0, -1]', '0', 'slice(1, None)'])}, {self.value(a)})"

    def rows(self) -> tuple[str, str]:
        a, b = self.variable(writeable=True), self.variable()
        if not a or self.world.names[a].ndim < 2:
            return self.augmented_item()
        body = self.choose([f"row *= {self.number()}", f"row += {b}", "row[0] = row[-1] * row[0]", f"row[-1] -= {b}"])
        return "", f"for row in {a}: {body}\nrow = None"

    def buffer(self) -> tuple[str, str]:
        return self.bound(f"zeros({self.choose(SHAPES)})")

    def forgotten(self) -> tuple[str, str]:
        computed = self.computed()
        return ("", f"del {self.choose(computed)}") if len(computed) > 2 else self.operation()

    def use(self) -> tuple[str, str]:
        name = self.variable()
        return "loss", use_of({name: self.world.names[name]})

    def refusal(self) -> Line:
        """A line that the tape must refuse."""
        a, leaf = self.variable(), self.choose(list(self.script.inputs))
        if self.random.random() < 0.3:
            text, error, words = self.choose(REFUSED_LINES)
            return _line("refused", text.format(leaf=leaf), "", (error, words))
        kind = self.choose(list(REFUSED))
        m = self.new_constant(f"m{len(self.script.constants)}", kind, self.world.names[a].shape or (1,))
        return _line("refused", self.choose(REFUSED_USES).format(a=a, m=m), "", (TypeError, REFUSED[kind][1]))

    def make(self, length: int) -> Script:
        """A script of so many lines, and a use of all variables that are there at the end."""
        for x in self.script.inputs:
            target, text = self.bound(self.choose(["{a} * 1.0", "{a}.copy()", "0.5 * {a}", "np.sin({a})"]).format(a=x))
            self.keep_if_it_runs(_line("operation", text, target))
        for _ in range(4 * length):
            if len(self.script.lines) >= length:
                break
            if self.random.random() < 0.04:
                self.script.lines.append(self.refusal())
                continue
            kind = self.choose(KINDS_OF_LINES)
            target, text = getattr(self, kind)()
            self.keep_if_it_runs(_line(kind, text, target))
        self.keep_if_it_runs(_line("use", use_of(self.world.variables()), "loss"))
        return self.script

    def keep_if_it_runs(self, line: Line) -> None:
        try:
            self.world.step(line)
        except Exception:  # noqa: BLE001  whatever NumPy has to say: the line is not for these arrays
            self.restore()
            return
        values = list(self.world.variables().values())
        for value in values:
            if (
                not means_the_same(value, values)
                or value.dtype.kind not in "fc"
                or not 0 < value.size <= MOST_ELEMENTS
                or not np.abs(value).max() <= LARGEST
            ):
                self.restore()
                return
        self.script.lines.append(line)


def means_the_same(value: Any, values: list[Any]) -> bool:
    """Whether an array among others is to NumPy what it is to the tape.

    What NumPy makes of one number is a scalar, and has no views; here it is kept as an array. And a view with gaps, or backwards, of an
    array that has no name any more: it keeps its gaps when it is written to, and a tensor does not, which a later reshape tells.
    """
    whole = value if value.base is None else value.base
    if whole.ndim and whole is value:
        return True
    alone = not any(other is not value and np.may_share_memory(other, value) for other in values) and sum(other is value for other in values) == 1
    if not whole.ndim:
        return alone or not value.flags.writeable
    return not alone or (value.ndim > 0 and (value.flags.c_contiguous or value.flags.f_contiguous))


def use_of(variables: dict[str, Any]) -> str:
    """A line that adds a smooth function of all elements to the loss, each with a weight of its own."""
    names = [f"np.ravel({name})" for name in variables]
    elements = names[0] if len(names) == 1 else f"np.concatenate([{', '.join(names)}])"
    size = sum(value.size for value in variables.values())
    if any(value.dtype.kind == "c" for value in variables.values()):
        return f"loss = loss + np.tanh(np.real({elements} * W[:{size}])).sum()"
    return f"loss = loss + np.tanh({elements} * R[:{size}]).sum()"


@functools.lru_cache(10_000)
def _compiled(text: str) -> CodeType:
    return compile(text, "<script>", "exec")


def _line(kind: str, text: str, target: str, refused: tuple[type[Exception], str] | None = None) -> Line:
    return Line(kind, text, _compiled(text), target, refused)


def make_script(seed: int) -> Script:
    """The script of a seed."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error")  # a complex value that is written into a real array, say
        return Maker(seed).make(random.Random(seed).randrange(4, 14))
