"""An operation: what a differentiable function is called, takes, and how it is differentiated.

An `Op` is one row: a function (NumPy's own, or a user's) with one rule per differentiable argument. A rule is an ordinary
function whose parameter names say what it needs:

    g      the gradient of the result
    out    the result
    like   the shape and dtype of the argument that the rule is for (`like.shape`, `like.dtype`, `like.ndim`, `like.size`)
    x2, axis, ...   the operation's own arguments and keywords, under their own names

From the names follows what the tape has to keep; see plan.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autograd_core.tape.loading import load_more
from autograd_core.tape.signatures import NO_VALUE, UFUNC_DEFAULTS, brief, check_spelled, is_default, rule_parameters, signature_of

__all__ = ["Op"]


class Op:
    """A differentiable function: how to compute it, and one rule for each argument that has a derivative.

    name         what errors, listings and pictures call it
    function     computes the value from raw arrays
    rules        argument's name -> rule
    accumulate   argument's name -> a function that adds its contribution into an existing gradient
    inert        arguments that rules need not know: they do not change the derivative
    quick        a quicker equal of the function for plain arrays, or None: np.add.reduce for np.sum
    elementwise  each element of the result depends on the elements at its own place only
    selects      the result leaves out elements of its arguments (where, indexing, clip): see fitting.py, "structural zeros"
    structural   moves, copies or sums elements without mixing places that carry zeros with others
    holomorphic  the rules are written without conjugates, as on real numbers; on complex ones the sweep conjugates around them
    exact        the rules give the result's own shape and dtype before un-broadcasting: the sweep need not look
    linear       the function is linear in each argument that has a rule, the others held fixed: its derivative in one is itself
    in_python    the function is written in Python, not one of NumPy's
    batches      such a function takes batches (ag.vmap) as it takes arrays: it uses NumPy's functions, operators, methods, shape and
                 dtype only. Else it is called for one element after the other
    real_only    refuse tracked complex arguments: the function has no complex derivative
    hermitian    arguments read as Hermitian matrices, by one triangle (of a function with a keyword `hermitian`: where it is
                 true). Their gradients are Hermitian, and are checked along Hermitian directions
    samples      makes sample calls for tests and the gradient checker: `lambda a: [call(a(2, 3), axis=0)]` (define/samples.py)
    """

    def __init__(self, function: Callable[..., Any], *, name: str | None = None, signature: str | None = None) -> None:
        self.function = function
        self.name: str = name or getattr(function, "__name__", None) or type(function).__name__
        self.quick: Callable[..., Any] | None = None
        self.rules: dict[str, Callable[..., Any]] = {}
        self.accumulate: dict[str, Callable[..., Any]] = {}
        self.inert: frozenset[str] = frozenset()
        self.elementwise = hasattr(function, "nin") and getattr(function, "signature", None) is None
        self.selects = False
        self.structural = False
        self.real_only = False
        self.linear = False
        self.in_python = False
        self.batches = False
        self.hermitian: tuple[str, ...] = ()
        self.exact = False
        self.holomorphic = False
        self.samples: Callable[..., Any] | None = None
        self._signature = signature
        self._forget_plans()

    def __repr__(self) -> str:
        return f"<op {self.name}({', '.join(self.rules)})>"

    def define(self, rules: Mapping[str, Callable[..., Any]], **attributes: Any) -> None:
        """Add or replace rules; plans made from the old ones are forgotten."""
        self.rules.update(rules)
        self.exact = False  # until `defvjp` says so of the engine's own
        for attribute, value in attributes.items():
            setattr(self, attribute, value)
        self._forget_plans()

    def _forget_plans(self) -> None:
        # What is worked out once (plan.py): by the tracked arguments, and the three plans of the operators' hot path.
        self.plans: dict[Any, Any] = {}
        self.calls: dict[Any, Any] = {}  # by their form (tensor/apply.py)
        self.first: Any = None
        self.second: Any = None
        self.both: Any = None
        self.slopes: dict[int, Any] | None = None  # what forward mode makes of the rules (tensor/forward.py)
        self.accepted: set[tuple[Any, ...]] = set()
        self._signature_read: _Signature | None = None

    # The signature is read when first needed: `inspect` on 200 functions would be most of the import time.
    def _read_signature(self) -> _Signature:
        if not self.rules:
            load_more()
        read = _Signature(self)
        unknown = set(self.rules) - set(read.names)
        if unknown:
            raise TypeError(f"{self.name}: rule for unknown argument {sorted(unknown)[0]!r}; its arguments are {', '.join(read.names)}")
        self._signature_read = read  # whole or not at all: another thread, or an interrupt, may come at any line
        return read

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the function's arguments, in order."""
        return (self._signature_read or self._read_signature()).names

    @property
    def defaults(self) -> dict[str, Any]:
        """Name of each argument -> its default value."""
        return (self._signature_read or self._read_signature()).defaults

    @property
    def variadic(self) -> int | None:
        """Where `*operands` stands, if the function has it: everything from there on is one sequence argument."""
        return (self._signature_read or self._read_signature()).variadic

    def position(self, keyword: str) -> int:
        """Where the argument named `keyword` stands; TypeError as Python words it if there is none."""
        try:
            return (self._signature_read or self._read_signature()).index[keyword]
        except KeyError:
            raise TypeError(f"{self.name}() got an unexpected keyword argument {keyword!r}") from None

    def argument(self, position: int, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The value of the argument at `position` in a call with `args` and `kwargs`, its default if not given."""
        read = self._signature_read or self._read_signature()
        if position == read.variadic:
            return tuple(args[position:])
        if position < len(args) and (read.variadic is None or position < read.variadic):
            return args[position]
        name = read.names[position]
        return kwargs[name] if name in kwargs else read.defaults[name]

    def check_known(self, form: tuple[Any, ...], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise if an argument is used that no rule knows: `where=` swallowed is a wrong gradient."""
        if form in self.accepted:
            return
        read = self._signature_read or self._read_signature()
        given = [*zip(read.names[: read.variadic], args, strict=False), *kwargs.items()]
        if read.known.issuperset(name for name, _ in given):
            self.accepted.add(form)
            return
        check_spelled(self.name, kwargs)
        if not self.rules:
            raise TypeError(
                f"{self.name}: this operation has no derivative rule; give it a rule: ag.defvjp({self.name}, {read.names[0]}=lambda g, ...: ...)"
            )
        for name, value in given:
            if name in read.known or is_default(value, read.defaults.get(name, UFUNC_DEFAULTS.get(name, NO_VALUE))):
                continue
            raise TypeError(
                f"{self.name}: no derivative rule handles the argument {name}={brief(value)}; "
                f"leave it at its default, {f'or give it a rule: ag.defvjp({self.name}, {name}=lambda g, ...: ...), ' if self.in_python else ''}"
                "or compute this part on arrays that need no gradient (x.detach())"
            )


class _Signature:
    """What an op's function takes: names, places and defaults of its arguments, and which of them some rule knows."""

    def __init__(self, op: Op) -> None:
        signature = signature_of(op.name, op.function, op._signature)
        kinds = [p.kind for p in signature.values()]
        self.names = tuple(signature)
        self.index = {name: i for i, name in enumerate(signature)}
        self.defaults = {name: p.default for name, p in signature.items()}
        self.variadic = kinds.index(inspect.Parameter.VAR_POSITIONAL) if inspect.Parameter.VAR_POSITIONAL in kinds else None
        named = {name for rule in op.rules.values() for name in rule_parameters(rule)}
        self.known = (frozenset(op.rules) | named | op.inert) - {"out"}
