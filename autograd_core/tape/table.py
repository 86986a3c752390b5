"""The table of operations: what each differentiable function is called, takes, and how it is differentiated.

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
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autograd_core.tape.plan import Plan, Tracked
from autograd_core.tape.signatures import NO_VALUE, UFUNC_DEFAULTS, brief, is_default, rule_parameters, signature_of

__all__ = ["COMPOSITIONS", "CONSTANTS", "TABLE", "UPDATES", "Composition", "Op", "load_more", "load_on_miss"]


class Op:
    """A differentiable function: how to compute it, and one rule for each argument that has a derivative.

    name         what errors, listings and pictures call it
    function     computes the value from raw arrays
    rules        argument's name -> rule
    accumulate   argument's name -> a function that adds its contribution into an existing gradient
    inert        arguments that rules need not know: they do not change the derivative
    elementwise  each element of the result depends on the elements at its own place only
    selects      the result leaves out elements of its arguments (where, indexing, clip): see sweep.py, "structural zeros"
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
        self._parameters: tuple[str, ...] | None = None
        self._forget_plans()

    def __repr__(self) -> str:
        return f"<op {self.name}({', '.join(self.rules)})>"

    def define(self, rules: Mapping[str, Callable[..., Any]], **attributes: Any) -> None:
        """Add or replace rules; plans made from the old ones are forgotten."""
        self.rules.update(rules)
        self.exact = False  # until `define.trust_elementwise` says so of the engine's own
        for attribute, value in attributes.items():
            setattr(self, attribute, value)
        self._forget_plans()

    def _forget_plans(self) -> None:
        self._plans: dict[tuple[Tracked, ...], Plan] = {}
        self._accepted: set[tuple[Any, ...]] = set()
        self._parameters = None
        self.slopes: dict[int, Any] | None = None  # what forward mode makes of the rules (tensor/forward.py)
        # The three plans of the operators' hot path, made when first needed.
        self.first: Plan | None = None
        self.second: Plan | None = None
        self.both: Plan | None = None

    def plan_first(self) -> Plan:
        self.first = self.plan((0,))
        return self.first

    def plan_second(self) -> Plan:
        self.second = self.plan((1,))
        return self.second

    def plan_both(self) -> Plan:
        self.both = self.plan((0, 1))
        return self.both

    # The signature is read when first needed: `inspect` on 200 functions would be most of the import time.
    def _read_signature(self) -> None:
        if not self.rules:
            load_more()
        signature = signature_of(self.name, self.function, self._signature)
        self._parameters = tuple(signature)
        self._index = {name: i for i, name in enumerate(self._parameters)}
        self._defaults = {name: p.default for name, p in signature.items()}
        kinds = [p.kind for p in signature.values()]
        self._variadic = kinds.index(inspect.Parameter.VAR_POSITIONAL) if inspect.Parameter.VAR_POSITIONAL in kinds else None
        named = {name for rule in self.rules.values() for name in rule_parameters(rule)}
        self._known = (frozenset(self.rules) | named | self.inert) - {"out"}
        unknown = set(self.rules) - set(self._parameters)
        if unknown:
            raise TypeError(f"{self.name}: rule for unknown argument {sorted(unknown)[0]!r}; its arguments are {', '.join(self._parameters)}")

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the function's arguments, in order."""
        if self._parameters is None:
            self._read_signature()
        return self._parameters or ()

    @property
    def variadic(self) -> int | None:
        """Where `*operands` stands, if the function has it: everything from there on is one sequence argument."""
        if self._parameters is None:
            self._read_signature()
        return self._variadic

    def position(self, keyword: str) -> int:
        """Where the argument named `keyword` stands; TypeError as Python words it if there is none."""
        if self._parameters is None:
            self._read_signature()
        try:
            return self._index[keyword]
        except KeyError:
            raise TypeError(f"{self.name}() got an unexpected keyword argument {keyword!r}") from None

    def argument(self, position: int, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The value of the argument at `position` in a call with `args` and `kwargs`, its default if not given."""
        if position == self.variadic:
            return tuple(args[position:])
        if position < len(args) and (self._variadic is None or position < self._variadic):
            return args[position]
        name = self.parameters[position]
        return kwargs[name] if name in kwargs else self._defaults[name]

    def check_known(self, form: tuple[Any, ...], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise if an argument is used that no rule knows: `where=` swallowed is a wrong gradient."""
        if form in self._accepted:
            return
        names = self.parameters
        given = [*zip(names[: self.variadic], args, strict=False), *kwargs.items()]
        if self._known.issuperset(name for name, _ in given):
            self._accepted.add(form)
            return
        for name, value in given:
            if name in self._known or is_default(value, self._defaults.get(name, UFUNC_DEFAULTS.get(name, NO_VALUE))):
                continue
            raise TypeError(
                f"{self.name}: no derivative rule handles the argument {name}={brief(value)}; "
                "leave it at its default, or compute this part on arrays that need no gradient (x.detach())"
            )

    def plan(self, tracked: tuple[Tracked, ...]) -> Plan:
        """What to save and which rules to run where just the `tracked` arguments need gradients."""
        plan = self._plans.get(tracked)
        if plan is None:
            if not self.rules:
                load_more()
            if len(self._plans) >= _PLANS:
                self._plans.clear()  # lists of ever new lengths would fill the memory
            plan = self._plans[tracked] = Plan(self, tracked)
        return plan


_PLANS = 64  # of one op are kept

TABLE: dict[Callable[..., Any], Op] = {}


class Composition:
    """A function of NumPy that is computed, on tensors, from others of the table."""

    def __init__(self, function: Any, compute: Callable[..., Any], samples: Callable[..., Any] | None) -> None:
        self.function = function
        self.compute = compute
        self.samples = samples


COMPOSITIONS: dict[Any, Composition] = {}

# Functions that change their first argument in place (np.put): on a tensor they are recorded as item assignment.
UPDATES: dict[Any, Callable[..., None]] = {}

# Functions without derivative (argmax, comparisons, shape queries): they return plain arrays.
CONSTANTS: set[Any] = set()

# What imports the rules that are not imported with the package (rules/__init__.py), and says whether there were any.
_loaders: list[Callable[[], bool]] = []
_loading = threading.RLock()
_times_loaded = 0


def load_on_miss(loader: Callable[[], bool]) -> None:
    """Let `loader` fill the tables when a function is not found in them."""
    _loaders.append(loader)


def load_more() -> bool:
    """Fill the tables; True if they were filled since this was called, so that looking again is worth it."""
    global _times_loaded
    before = _times_loaded
    with _loading:
        if _times_loaded != before:
            return True  # by another thread, while this one waited
        loaders, _loaders[:] = _loaders[:], []  # none, for the rules that are imported now
        try:
            _times_loaded += any(loader() for loader in loaders)
        finally:
            _loaders[:] = loaders
        return _times_loaded != before
