"""The table of operations: what each differentiable function is called, takes, and how it is differentiated.

An `Op` is one row: a function (NumPy's own, or a user's) with one rule per differentiable argument. A rule is an ordinary
function whose parameter names say what it needs:

    g      the gradient of the result
    out    the result
    like   the shape and dtype of the argument that the rule is for (`like.shape`, `like.dtype`, `like.ndim`, `like.size`)
    x2, axis, ...   the operation's own arguments and keywords, under their own names

From the names follows what the tape has to keep. For one pattern of tracked arguments that is worked out once, in a
`Plan`; recording then copies the plan's choice of values, and the backward pass calls the plan's edges.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = [
    "COMPOSITIONS",
    "CONSTANTS",
    "NO_VALUE",
    "TABLE",
    "UPDATES",
    "Composition",
    "Edge",
    "Like",
    "Op",
    "Plan",
    "Tracked",
    "load_more",
    "load_on_miss",
]

NO_VALUE = inspect.Parameter.empty
OUT = -1  # where a plan saves the result instead of an argument

# What a plan of one or two arguments saves, as a number that the hot path compares.
SAVES_NOTHING, SAVES_FIRST, SAVES_SECOND, SAVES_BOTH, SAVES_OUT, SAVES_OTHERWISE = range(6)
_LAYOUTS = {(): SAVES_NOTHING, (0,): SAVES_FIRST, (1,): SAVES_SECOND, (1, 0): SAVES_BOTH, (OUT,): SAVES_OUT}

# Where a call has a value that a plan saves.
FROM_ARGS, FROM_KWARGS, FROM_REST, FROM_RESULT, FROM_DEFAULT, FROM_SHAPES = range(6)

# How an edge's rule is called: rule(g), rule(g, links[n]) for n > 0, pull(g, links), or not at all: it would return g.
NOTHING_MORE, ALL_LINKS, G_ITSELF = 0, -1, -2
# In quick edges n > 0 says which of a compact node's two saved values.
SAVED_FIRST, SAVED_SECOND = 1, 2

# How the sweep finds a node's parents.
NO_PARENT, ONE_PARENT, TWO_PARENTS, MORE_PARENTS = range(4)
_RETURNS_G = (lambda g: g).__code__

# One tracked argument: its position, or (position, place) for an element of a sequence argument such as concatenate's.
Tracked = int | tuple[int, int]


class Edge(NamedTuple):
    """How a gradient goes back to one argument.

    name        the argument's
    place       of its parent in the node's links; for a sequence argument, all (place, element) pairs
    rule        the rule, or what adapts it to (g, links)
    takes       NOTHING_MORE, G_ITSELF, ALL_LINKS, or the place of the one saved value that the rule takes
    accumulate  adds into an existing gradient instead, or None
    """

    name: str
    place: Any
    rule: Callable[..., Any]
    takes: int
    accumulate: Callable[..., Any] | None


class Like:
    """Shape and dtype of an array that need not be kept."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.shape = shape
        self.dtype = dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        size = 1
        for n in self.shape:
            size *= n
        return size


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
    real_only    refuse tracked complex arguments: the function has no complex derivative
    hermitian    arguments read as Hermitian matrices, by one triangle (of a function with a keyword `hermitian`: where it is
                 true). Their gradients are Hermitian, and are checked along Hermitian directions
    samples      makes sample calls for tests and the gradient checker: `lambda a: [call(a(2, 3), axis=0)]` (samples.py)
    """

    def __init__(self, function: Callable[..., Any], *, name: str | None = None, signature: str | None = None) -> None:
        self.function = function
        self.name = name or getattr(function, "__name__", type(function).__name__)
        self.rules: dict[str, Callable[..., Any]] = {}
        self.accumulate: dict[str, Callable[..., Any]] = {}
        self.inert: frozenset[str] = frozenset()
        self.elementwise = hasattr(function, "nin") and getattr(function, "signature", None) is None
        self.selects = False
        self.structural = False
        self.real_only = False
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
        signature = _signature_of(self)
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
            if name in self._known or _is_default(value, self._defaults.get(name, _UFUNC_DEFAULTS.get(name, NO_VALUE))):
                continue
            raise TypeError(
                f"{self.name}: no derivative rule handles the argument {name}={_brief(value)}; "
                "leave it at its default, or compute this part on arrays that need no gradient (x.detach())"
            )

    def plan(self, tracked: tuple[Tracked, ...]) -> Plan:
        """What to save and which rules to run where just the `tracked` arguments need gradients."""
        plan = self._plans.get(tracked)
        if plan is None:
            if not self.rules:
                load_more()
            plan = self._plans[tracked] = Plan(self, tracked)
        return plan


class Plan:
    """For one op and one pattern of tracked arguments: what a node links to, and the edges of its backward step.

    A node's `links` are its parents' nodes, one per tracked argument, followed by the saved values. With at most two of
    each the plan is `compact`: the node has them in slots of its own instead of a tuple.

    saves  positions of the arguments to keep after the parents (OUT for the result, ("like", i) for shapes of a sequence)
    edges  for each differentiated argument: its parents' places, the rule adapted to (g, links), accumulate, name
    """

    __slots__ = (
        "arity",
        "compact",
        "edges",
        "exact",
        "freed",
        "graph_edges",
        "guarded",
        "is_freed",
        "is_guarded",
        "keeps",
        "layout",
        "lifts",
        "op",
        "quick_edges",
        "recipes",
        "saves",
        "special",
        "spreads",
        "tracked",
        "walk",
        "watchers",
    )

    def __init__(self, op: Op, tracked: tuple[Tracked, ...]) -> None:
        self.op = op
        self.tracked = tracked
        self.arity = len(tracked)
        self.is_freed = self.is_guarded = False
        self.watchers: Any = None
        self.guarded: Plan | None = None
        groups: dict[int, list[tuple[int, int | None]]] = {}  # position -> [(place in links, element or None)]
        for place, where in enumerate(tracked):
            position, element = (where, None) if isinstance(where, int) else where
            groups.setdefault(position, []).append((place, element))
        saves: list[Any] = []
        edges: list[Edge] = []
        for position, places in groups.items():
            name = op.parameters[position]
            if name in op.rules:
                edges.append(self._edge(name, position, places, saves))
            elif name not in op.inert:
                raise TypeError(
                    f"{op.name} has no derivative rule for its argument {name!r}; register one with ag.defvjp "
                    f'(README, "Custom operations"), or pass {name}.detach() to treat it as a constant'
                )
        # A rule with `accumulate` may use up g (item assignment clears it in place), so it goes last.
        edges.sort(key=lambda edge: edge.accumulate is not None)
        self.edges = tuple(edges)
        self.graph_edges = tuple(e if getattr(e.accumulate, "graph", False) else e._replace(accumulate=None) for e in edges)
        # Plain tuples: unpacking a named one takes three times as long.
        self.quick_edges = tuple((e.place, e.rule, e.takes - self.arity + 1 if e.takes > 0 else e.takes) for e in edges)
        self.saves = tuple(saves)
        self.layout = _LAYOUTS.get(self.saves, SAVES_OTHERWISE)
        self.keeps = len(self.saves) > 0
        self.lifts = tuple(self._lift(save, groups) for save in saves)
        self.compact = self.arity <= 2 and len(saves) <= 2
        self.walk = (NO_PARENT, ONE_PARENT, TWO_PARENTS)[self.arity] if self.compact else MORE_PARENTS
        # What the sweep's quick loop leaves to the careful one.
        self.special = not self.compact or op.selects or any(e.accumulate is not None or isinstance(e.place, tuple) for e in edges)
        self.exact = op.exact
        self.spreads = op.elementwise or op.structural  # structural zeros, to the parents
        self.recipes: dict[tuple[Any, ...], tuple[tuple[int, Any], ...]] = {}
        self.freed: Plan | None = self._make_freed()  # None in a freed plan itself: plans have no cycles either

    def _edge(self, name: str, position: int, places: list[tuple[int, int | None]], saves: list[Any]) -> Edge:
        op = self.op
        sequence = places[0][1] is not None

        def place_of(parameter: str) -> int:
            if parameter == "like":
                if not sequence:
                    return places[0][0]
                save: Any = ("like", position)
            else:
                save = OUT if parameter == "out" else op.position(parameter)
            if save not in saves:
                saves.append(save)
            return self.arity + saves.index(save)

        rule, takes = _adapt(op.rules[name], [place_of(p) for p in rule_parameters(op.rules[name])])
        accumulate = op.accumulate.get(name)
        if accumulate is not None and not sequence:
            accumulate = _adapt_accumulate(accumulate, [place_of(p) for p in rule_parameters(accumulate, skip=4)])
        return Edge(name, tuple(places) if sequence else places[0][0], rule, takes, accumulate)

    def _lift(self, save: Any, groups: Mapping[int, list[tuple[int, int | None]]]) -> Any:
        """Where the node of a saved value is: a parent's place, OUT for the node itself, {element: place}, or None."""
        if save == OUT:
            return OUT
        places = groups.get(save) if isinstance(save, int) else None
        if not places:
            return None
        return places[0][0] if places[0][1] is None else {element: place for place, element in places}

    def saved_values(self, form: tuple[Any, ...], args: Sequence[Any], kwargs: Mapping[str, Any], value: Any) -> list[Any]:
        """What to save of a call with the result `value`; `form` is (number of positional arguments, *names of keywords)."""
        recipe = self.recipes.get(form)
        if recipe is None:
            recipe = self.recipes[form] = tuple(self._source(save, form) for save in self.saves)
        saved = []
        for source, key in recipe:
            if source == FROM_ARGS:
                saved.append(args[key])
            elif source == FROM_KWARGS:
                saved.append(kwargs[key])
            elif source == FROM_REST:
                saved.append(tuple(args[key:]))
            elif source == FROM_RESULT:
                saved.append(value)
            elif source == FROM_DEFAULT:
                saved.append(key)
            else:
                saved.append(tuple(Like(getattr(v, "shape", ()), getattr(v, "dtype", None)) for v in self.op.argument(key, args, kwargs)))
        return saved

    def _source(self, save: Any, form: tuple[Any, ...]) -> tuple[int, Any]:
        """Where a call of this form has the value for `save`."""
        op = self.op
        if save == OUT:
            return FROM_RESULT, None
        if not isinstance(save, int):
            return FROM_SHAPES, save[1]
        if save == op.variadic:
            return FROM_REST, save
        if save < form[0] and (op.variadic is None or save < op.variadic):
            return FROM_ARGS, save
        name = op.parameters[save]
        return (FROM_KWARGS, name) if name in form[1:] else (FROM_DEFAULT, op.argument(save, (), {}))

    def copy(self) -> Plan:
        """The same plan as an object of its own."""
        twin = object.__new__(Plan)
        for slot in Plan.__slots__:
            setattr(twin, slot, getattr(self, slot))
        return twin

    def _make_freed(self, compact: bool | None = None) -> Plan:
        """The same plan for a node whose saved values are gone: it keeps the structure, for listings and pictures."""
        self.freed = None
        freed = self.copy()
        freed.is_freed = True
        if compact is not None:
            freed.compact, freed.walk = compact, MORE_PARENTS
        freed.edges = freed.quick_edges = freed.graph_edges = freed.saves = freed.lifts = ()
        return freed

    def _make_guarded(self) -> Plan:
        """The same plan for a node whose last link holds fingerprints of its saved values."""
        guarded = self.copy()
        guarded.is_guarded = guarded.keeps = guarded.special = True
        guarded.compact = False
        guarded.walk = MORE_PARENTS
        guarded.freed = self.copy()._make_freed(compact=False)
        return guarded

    @property
    def with_guard(self) -> Plan:
        """The plan of a node that guards its saved values (fingerprint.py); made when first needed."""
        if self.guarded is None:
            self.guarded = self._make_guarded()
        return self.guarded


def rule_parameters(rule: Callable[..., Any], skip: int = 1) -> tuple[str, ...]:
    """Names of a rule's parameters after `g` (after the first `skip`)."""
    code = getattr(rule, "__code__", None)
    if code is not None and not hasattr(rule, "__wrapped__"):
        return tuple(code.co_varnames[skip : code.co_argcount + code.co_kwonlyargcount])
    return tuple(inspect.signature(rule).parameters)[skip:]


def _adapt(rule: Callable[..., Any], places: Sequence[int]) -> tuple[Callable[..., Any], int]:
    """The rule as the sweep calls it, and what it takes besides g (see `Edge`)."""
    match places:
        case []:
            code = getattr(rule, "__code__", None)
            returns_g = code is not None and code.co_code == _RETURNS_G.co_code and code.co_varnames == ("g",)
            return rule, G_ITSELF if returns_g else NOTHING_MORE
        case [i] if i > 0:
            return rule, i
        case [i]:
            return lambda g, links: rule(g, links[i]), ALL_LINKS
        case [i, j]:
            return lambda g, links: rule(g, links[i], links[j]), ALL_LINKS
        case _:
            return lambda g, links: rule(g, *[links[i] for i in places]), ALL_LINKS


def _adapt_accumulate(accumulate: Callable[..., Any], places: Sequence[int]) -> Callable[..., Any]:
    def adapted(total: Any, total_owned: bool, g: Any, g_owned: bool, links: Any) -> Any:
        return accumulate(total, total_owned, g, g_owned, *[links[i] for i in places])

    adapted.graph = getattr(accumulate, "graph", False)  # type: ignore[attr-defined]
    return adapted


# Keywords that every ufunc takes, with values that mean "as if not given".
_UFUNC_DEFAULTS: dict[str, Any] = {"out": None, "where": True, "casting": "same_kind", "order": "K", "dtype": None, "subok": True, "signature": None}
_UFUNC_NAMES = {1: ("x",), 2: ("x1", "x2")}


def _signature_of(op: Op) -> dict[str, inspect.Parameter]:
    if op._signature is not None:
        source = eval(f"lambda {op._signature}: None", {"NO_VALUE": NO_VALUE})  # the op's author wrote it, beside the rules
        return dict(inspect.signature(source).parameters)
    if hasattr(op.function, "nin"):
        names = _UFUNC_NAMES.get(op.function.nin) or tuple(f"x{i + 1}" for i in range(op.function.nin))
        return {name: inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names}
    try:
        return dict(inspect.signature(op.function).parameters)
    except ValueError:
        raise TypeError(f"{op.name}: its arguments cannot be read; give defvjp its signature as text, e.g. 'x, axis=None'") from None


def _is_default(value: Any, default: Any) -> bool:
    if value is default or (value is None and default is NO_VALUE):
        return True
    if default is NO_VALUE or type(default).__name__ == "_NoValueType":
        return value is None or (value is True and default is not NO_VALUE)
    return isinstance(value, bool | int | str) and type(value) is type(default) and value == default


def _brief(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"<array of shape {shape}>" if shape else repr(value)[:60]


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
