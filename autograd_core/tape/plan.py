"""Plans: what the tape keeps of an operation, and how its gradient goes back, worked out once.

A rule's parameter names say what it needs. For one op and one pattern of tracked arguments a `Plan` turns that into places:
which values to save with a node, which of them each rule takes, and where the parents' nodes are. Recording then copies the
plan's choice of values, and the backward pass calls the plan's edges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from autograd_core.tape.signatures import rule_parameters

if TYPE_CHECKING:
    from autograd_core.tape.table import Op

__all__ = ["Edge", "Like", "Plan", "Tracked"]

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
        "selecting",
        "selects",
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
        self.selecting: Plan | None = None
        self.selects = op.selects
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

        rule, takes = _adapt(op.rules[name], [place_of(p) for p in rule_parameters(op.rules[name])], self.arity)
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
    def with_selection(self) -> Plan:
        """The plan of a call that leaves out elements although its op in general does not: a reduction with `where=`."""
        if self.selecting is None:
            self.selecting = self.copy()
            self.selecting.guarded = None
            self.selecting.selects = self.selecting.special = True
        return self.selecting

    @property
    def with_guard(self) -> Plan:
        """The plan of a node that guards its saved values (guard.py); made when first needed."""
        if self.guarded is None:
            self.guarded = self._make_guarded()
        return self.guarded


def _adapt(rule: Callable[..., Any], places: Sequence[int], arity: int) -> tuple[Callable[..., Any], int]:
    """The rule as the sweep calls it, and what it takes besides g (see `Edge`)."""
    match places:
        case []:
            code = getattr(rule, "__code__", None)
            returns_g = code is not None and code.co_code == _RETURNS_G.co_code and code.co_varnames == ("g",)
            return rule, G_ITSELF if returns_g else NOTHING_MORE
        case [i] if i >= arity:
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
