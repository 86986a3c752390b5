"""Plans: what the tape keeps of an operation, and how its gradient goes back, worked out once.

A rule's parameter names say what it needs. For one op and one pattern of tracked arguments a `Plan` turns that into places:
which values to save with a node, which of them each rule takes, and where the parents' nodes are. Recording then copies the
plan's choice of values, and the backward pass calls the plan's edges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from autograd_core.tape.loading import load_more
from autograd_core.tape.op import Op
from autograd_core.tape.signatures import rule_parameters

__all__ = ["Edge", "Like", "Plan", "Tracked", "plan_both", "plan_first", "plan_of", "plan_second"]

OUT = -1  # where a plan saves the result instead of an argument

# What a plan of one or two arguments saves, as a number that the hot path compares.
SAVES_NOTHING, SAVES_FIRST, SAVES_SECOND, SAVES_BOTH, SAVES_OUT, SAVES_OTHERWISE = range(6)
_LAYOUTS = {(): SAVES_NOTHING, (0,): SAVES_FIRST, (1,): SAVES_SECOND, (1, 0): SAVES_BOTH, (OUT,): SAVES_OUT}

# Where a call has a value that a plan saves.
FROM_ARGS, FROM_KWARGS, FROM_REST, FROM_RESULT, FROM_DEFAULT, FROM_SHAPES = range(6)

# How the quick loop calls an edge's rule (quick.py): rule(g), rule(g, saved), rule(g, links), or not at all, as it would return g.
G_ITSELF, NOTHING_MORE, SAVED_FIRST, SAVED_SECOND, ALL_LINKS = range(5)

# How the sweep finds a node's parents.
NO_PARENT, ONE_PARENT, TWO_PARENTS, MORE_PARENTS = range(4)
_RETURNS_G = (lambda g: g).__code__

# One tracked argument: its position, or (position, place) for an element of a sequence argument such as concatenate's.
Tracked = int | tuple[int, int]


class Edge:
    """How a gradient goes back to one argument.

    name        the argument's
    place       of its parent in the node's links; for a sequence argument, all (place, element) pairs
    pull        (g, links) -> the contribution to the argument's gradient: its rule, given what it takes of the links
    passes_g    whether that is g itself
    accumulate  adds into an existing gradient instead, or None
    """

    __slots__ = ("accumulate", "name", "passes_g", "place", "pull")

    def __init__(self, name: str, place: Any, pull: Callable[[Any, Any], Any], passes_g: bool, accumulate: Callable[..., Any] | None) -> None:
        self.name = name
        self.place = place
        self.pull = pull
        self.passes_g = passes_g
        self.accumulate = accumulate

    def without_accumulate(self) -> Edge:
        return Edge(self.name, self.place, self.pull, self.passes_g, None)


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
    edges  for each differentiated argument, how a gradient goes back to it; `graph_edges` while a graph of the gradient is
           recorded, and `quick_edges` as the quick loop has them: (place, rule, how it is called)

    Nodes that are special have a plan that differs a little: freed, with a guard, with watchers of their own (see `changed`).
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
        "links_of",
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
        groups: dict[int, list[tuple[int, int | None]]] = {}  # position -> [(place in links, element or None)]
        for place, where in enumerate(tracked):
            position, element = (where, None) if isinstance(where, int) else where
            groups.setdefault(position, []).append((place, element))
        saves: list[Any] = []
        found: list[tuple[Edge, tuple[Any, ...]]] = []
        for position, places in groups.items():
            name = op.parameters[position]
            if name in op.rules:
                found.append(self._edge(name, position, places, saves))
            elif name not in op.inert:
                raise TypeError(
                    f"{op.name} has no derivative rule for its argument {name!r}; register one with ag.defvjp "
                    f'(README, "Custom operations"), or pass {name}.detach() to treat it as a constant'
                )
        # A rule with `accumulate` may use up g (item assignment clears it in place), so it goes last.
        found.sort(key=lambda pair: pair[0].accumulate is not None)
        self.edges = tuple(edge for edge, _ in found)
        self.graph_edges = tuple(e if getattr(e.accumulate, "graph", False) else e.without_accumulate() for e in self.edges)
        self.quick_edges = tuple(quick for _, quick in found)
        self.saves = tuple(saves)
        self.layout = _LAYOUTS.get(self.saves, SAVES_OTHERWISE)
        self.keeps = len(self.saves) > 0
        self.lifts = tuple(self._lift(save, groups) for save in saves)
        self.compact = self.arity <= 2 and len(saves) <= 2
        self.links_of = _links_of(self.compact, self.arity, len(saves))
        self.walk = (NO_PARENT, ONE_PARENT, TWO_PARENTS)[self.arity] if self.compact else MORE_PARENTS
        self.selects = op.selects
        self.exact = op.exact
        self.spreads = op.elementwise or op.structural  # structural zeros, to the parents (fitting.py)
        # What the quick loop leaves to the common sweep.
        self.special = not self.compact or op.selects or any(e.accumulate is not None or isinstance(e.place, tuple) for e in self.edges)
        self.recipes: dict[tuple[Any, ...], tuple[tuple[int, Any], ...]] = {}
        self.is_freed = self.is_guarded = False
        self.watchers: Any = None
        self.guarded: Plan | None = None
        self.selecting: Plan | None = None
        self.freed: Plan | None = self._as_freed()

    def _edge(self, name: str, position: int, places: list[tuple[int, int | None]], saves: list[Any]) -> tuple[Edge, tuple[Any, ...]]:
        """The edge to an argument, and what the quick loop has of it; what its rule takes is added to `saves`."""
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

        rule = op.rules[name]
        taken = [place_of(p) for p in rule_parameters(rule)]
        accumulate = op.accumulate.get(name)
        if accumulate is not None and not sequence:
            accumulate = _adapt_accumulate(accumulate, [place_of(p) for p in rule_parameters(accumulate, skip=4)])
        place: Any = tuple(places) if sequence else places[0][0]
        pull = _pull_of(rule, taken)
        if not taken:
            how = G_ITSELF if _returns_g(rule) else NOTHING_MORE
        elif len(taken) == 1 and 0 <= taken[0] - self.arity <= 1:
            how = SAVED_SECOND if taken[0] > self.arity else SAVED_FIRST
        else:
            rule, how = pull, ALL_LINKS
        return Edge(name, place, pull, how == G_ITSELF, accumulate), (place, rule, how)

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

    def name_of(self, save: Any) -> str:
        """What a saved value is called: the argument's name, or "out" for the result."""
        return "out" if save == OUT else self.op.parameters[save if isinstance(save, int) else save[1]]

    # --- plans that differ a little ---------------------------------------------------------------------------------------

    def changed(self, **changes: Any) -> Plan:
        """A copy with some attributes changed. What the copy's node looks like when it is freed follows from it."""
        twin = object.__new__(Plan)
        for slot in Plan.__slots__:
            setattr(twin, slot, changes.get(slot, getattr(self, slot, None)))
        twin.links_of = _links_of(twin.compact, twin.arity, len(twin.saves))
        if not twin.is_freed:
            twin.freed = twin._as_freed()
        return twin

    def _as_freed(self) -> Plan:
        """The plan of a node whose saved values are gone: it keeps the structure, for listings and pictures."""
        return self.changed(is_freed=True, freed=None, guarded=None, edges=(), quick_edges=(), graph_edges=(), saves=(), lifts=())

    @property
    def with_selection(self) -> Plan:
        """The plan of a call that leaves out elements although its op in general does not: a reduction with `where=`."""
        if self.selecting is None:
            self.selecting = self.changed(guarded=None, selects=True, special=True)
        return self.selecting

    @property
    def with_guard(self) -> Plan:
        """The plan of a node whose last link holds fingerprints of its saved values (guard.py)."""
        if self.guarded is None:
            self.guarded = self.changed(is_guarded=True, keeps=True, special=True, compact=False, walk=MORE_PARENTS)
        return self.guarded


_MOST_PLANS = 64  # of one op are kept


def plan_of(op: Op, tracked: tuple[Tracked, ...]) -> Plan:
    """What to save of a call of `op`, and which rules to run, where just the `tracked` arguments need gradients."""
    plan: Plan | None = op.plans.get(tracked)
    if plan is None:
        if not op.rules:
            load_more()
        plan = Plan(op, tracked)
        if len(op.plans) >= _MOST_PLANS:
            op.plans, op.calls = {}, {}  # lists of ever new lengths would fill the memory
        op.plans[tracked] = plan
    return plan


def plan_first(op: Op) -> Plan:
    """The plan of a call whose first argument is tracked, kept at hand for the hot path."""
    op.first = plan_of(op, (0,))
    return op.first


def plan_second(op: Op) -> Plan:
    """The same for the second argument."""
    op.second = plan_of(op, (1,))
    return op.second


def plan_both(op: Op) -> Plan:
    """The same for both."""
    op.both = plan_of(op, (0, 1))
    return op.both


def _returns_g(rule: Callable[..., Any]) -> bool:
    code = getattr(rule, "__code__", None)
    return code is not None and code.co_code == _RETURNS_G.co_code and code.co_varnames == ("g",)


def _links_of(compact: bool, arity: int, saved: int) -> Callable[[Any], tuple[Any, ...]]:
    """What reads the links of a node: a tuple, or the slots of a compact one."""
    slots = (*("first", "second")[:arity], *("saved_first", "saved_second")[:saved])
    if not compact or len(slots) > 1:
        return attrgetter(*slots) if compact else attrgetter("rest")
    return (lambda node: (node.first,)) if slots else lambda node: ()


def _pull_of(rule: Callable[..., Any], places: Sequence[int]) -> Callable[[Any, Any], Any]:
    """The rule as (g, links) -> contribution, where it takes the links at `places`."""
    match places:
        case []:
            return lambda g, links: rule(g)
        case [i]:
            return lambda g, links: rule(g, links[i])
        case [i, j]:
            return lambda g, links: rule(g, links[i], links[j])
        case [i, j, k]:
            return lambda g, links: rule(g, links[i], links[j], links[k])
        case _:
            return lambda g, links: rule(g, *[links[i] for i in places])


def _adapt_accumulate(accumulate: Callable[..., Any], places: Sequence[int]) -> Callable[..., Any]:
    def adapted(total: Any, total_owned: bool, g: Any, g_owned: bool, links: Any) -> Any:
        return accumulate(total, total_owned, g, g_owned, *[links[i] for i in places])

    adapted.graph = getattr(accumulate, "graph", False)  # type: ignore[attr-defined]
    return adapted
