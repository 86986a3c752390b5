"""The layout of one open group: ranks, lanes, order, columns, routes. layout.py tells the story."""

from __future__ import annotations

import itertools

from autograd_core.drawing.boxes import Box, default_ports
from autograd_core.drawing.slots import ASIDE, CHAIN, LIGHT, Slot, distance, inversions, isotonic, spread, tie, topological

__all__ = ["Level"]

RANK_GAP = 22.0  # between ranks, at least
PAD = 12.0  # inside an open group's border
HEADER = 20.0  # an open group's title
SWEEPS = 8


class Level:
    """The layout of one open group."""

    def __init__(self, group: Box, across: bool) -> None:
        self.group = group
        self.across = across
        self.slots: dict[Box, Slot] = {}
        self.ranks: list[list[Slot]] = []
        self.lanes: dict[tuple[int, int], Slot] = {}  # (wire, rank) -> its column there

    def place(self) -> None:
        group = self.group
        for wire in group.wires:
            if wire.source is not None and wire.source.light:
                for target in wire.targets:
                    if target is not None:
                        target.light_inputs.add(wire.value)
        for child in group.children or ():
            default_ports(child)
            self.slots[child] = Slot(child.w, child)
        self._assign_ranks()
        self._make_lanes()
        self._order_ranks()
        if self._reorder_inputs():
            self._order_ranks()
        self._assign_columns()
        self._finish()

    # --- ranks ------------------------------------------------------------------------------------------------------------

    def _assign_ranks(self) -> None:
        children = self.group.children or []
        position = {child: i for i, child in enumerate(children)}
        after: list[list[int]] = [[] for _ in children]
        before: list[list[int]] = [[] for _ in children]
        for wire in self.group.wires:
            if wire.source is None:
                continue
            for target in wire.targets:
                if target is not None and target is not wire.source:
                    after[position[wire.source]].append(position[target])
                    before[position[target]].append(position[wire.source])
        order = topological(after, before)
        rank = [0] * len(children)
        for i in order:
            rank[i] = max((rank[j] + 1 for j in before[i]), default=0)
        # What hangs on nothing above goes right above what it is for.
        for i in reversed(order):
            if not before[i] and after[i]:
                rank[i] = min(rank[j] for j in after[i]) - 1
        lowest = min(rank, default=0)
        count = max(rank, default=0) - lowest + 1
        # Rank 0 holds the inputs of the group and the last its outputs.
        self.ranks = [[] for _ in range(count + 2)]
        for child, r in zip(children, rank, strict=True):
            slot = self.slots[child]
            slot.rank = r - lowest + 1
            self.ranks[slot.rank].append(slot)

    def _make_lanes(self) -> None:
        """Give each wire a column on every rank that it passes, shared by its targets."""
        last = len(self.ranks) - 1
        for number, wire in enumerate(self.group.wires):
            first = 0 if wire.source is None else self.slots[wire.source].rank + 1
            end = max(last + 1 if target is None else self.slots[target].rank for target in wire.targets)
            for rank in range(first, max(end, first + (wire.source is None))):
                lane = self.lanes[number, rank] = Slot(2.0, rank=rank)
                self.ranks[rank].append(lane)
        self._tie_all()

    def _tie_all(self) -> None:
        """Tie together the slots that a wire joins from rank to rank."""
        for number, wire in enumerate(self.group.wires):
            light = wire.source is not None and wire.source.light
            alone = wire.source is not None and len(wire.targets) == 1 and len(wire.source.outputs) == 1
            source = None if wire.source is None else self.slots[wire.source]
            start = -1 if source is None else source.rank
            previous, offset = source, 0.0 if wire.source is None else wire.source.out_ports[wire.value]
            rank = start + 1
            # The stream goes straight on to what is right below; what goes further steps aside.
            ends = [self.slots[target].rank for target in wire.targets if target is not None]
            branch = start + 1 if source is not None else 1
            while (number, rank) in self.lanes:
                lane = self.lanes[number, rank]
                if previous is not None:
                    pull = ASIDE if rank == branch and branch in ends else 2.0 if previous.box is not None else 6.0
                    tie(previous, offset, lane, 0.0, pull * (LIGHT if light else 1.0))
                previous, offset, rank = lane, 0.0, rank + 1
            for target in wire.targets:
                if target is None:
                    continue
                end = self.slots[target]
                to, weight = (
                    target.in_ports[wire.value],
                    LIGHT if light else CHAIN if alone and len(target.inputs) - len(target.light_inputs) == 1 else 1.0,
                )
                if source is not None and wire.source is not None and end.rank - 1 == start:
                    tie(source, wire.source.out_ports[wire.value], end, to, weight)
                elif end.rank > start:
                    around = end.rank > 1 and not light and len(target.inputs) - len(target.light_inputs) > 1
                    tie(self.lanes[number, end.rank - 1], 0.0, end, to, ASIDE if around else weight)

    # --- order within the ranks -------------------------------------------------------------------------------------------

    def _order_ranks(self) -> None:
        for rank in self.ranks:
            for i, slot in enumerate(rank):
                slot.order = i
        for rank in self.ranks:
            spread(rank)
        best, best_crossings = [list(rank) for rank in self.ranks], self._crossings()
        for sweep in range(SWEEPS):
            if best_crossings == 0 and sweep > 1:
                break
            downward = sweep % 2 == 0
            for rank in self.ranks if downward else reversed(self.ranks):
                for slot in rank:
                    ties = slot.up if downward else slot.down
                    if ties:
                        slot.order = sum((other.x + theirs) * weight for other, _, theirs, weight in ties) / sum(t[3] for t in ties)
                    else:
                        slot.order = slot.x
                rank.sort(key=lambda slot: slot.order)
                spread(rank)
            crossings = self._crossings()
            if crossings < best_crossings:
                best, best_crossings = [list(rank) for rank in self.ranks], crossings
        self.ranks = best
        for rank in self.ranks:
            spread(rank)

    def _crossings(self) -> int:
        total = 0
        for upper in self.ranks[:-1]:
            ends = [(slot.x + mine, other.x + theirs) for slot in upper for other, mine, theirs, _ in slot.down]
            ends.sort()
            total += inversions([lower for _, lower in ends])
        return total

    def _reorder_inputs(self) -> bool:
        """Where the order of arguments means nothing, let edges enter in the order in which they come."""
        changed = False
        coming: dict[Box, dict[str, float]] = {}
        for number, wire in enumerate(self.group.wires):
            for target in wire.targets:
                if target is not None and target.free:
                    end = self.slots[target].rank - 1
                    lane = self.lanes.get((number, end))
                    at = lane.x if lane is not None else self.slots[wire.source].x + wire.source.out_ports[wire.value] if wire.source else 0.0
                    coming.setdefault(target, {})[wire.value] = at
        for target, places in coming.items():
            order = sorted(target.inputs, key=lambda value: (value in target.light_inputs, places.get(value, 0.0)))
            if order != target.inputs:
                changed = True
                target.inputs = order
                default_ports(target)
        if changed:
            for rank in self.ranks:
                for slot in rank:
                    slot.up, slot.down = [], []
            self._tie_all()
        return changed

    # --- columns ----------------------------------------------------------------------------------------------------------

    def _assign_columns(self) -> None:
        for sweep in range(2 * SWEEPS):
            downward = sweep % 2 == 0
            for rank in self.ranks if downward else reversed(self.ranks):
                if not rank:
                    continue
                wanted, weights = [], []
                for slot in rank:
                    ties = (slot.up if downward else slot.down) if sweep < 2 * SWEEPS - 4 else slot.up + slot.down
                    weight = sum(t[3] for t in ties)
                    if ties:
                        wanted.append(sum((other.x + theirs - mine) * w for other, mine, theirs, w in ties) / weight)
                        weights.append(weight)
                    else:
                        wanted.append(slot.x)
                        weights.append(0.01)
                apart = [slot.w + distance(slot, after) for slot, after in itertools.pairwise(rank)]
                for slot, x in zip(rank, isotonic(wanted, weights, apart), strict=True):
                    slot.x = x

        for _ in range(2):
            self._straighten()

    def _straighten(self) -> None:
        """Take out small kinks: a slot goes exactly below (then above) its one heavy neighbour where there is room."""
        for ranks, downward in ((self.ranks, True), (self.ranks[::-1], False)):
            for rank in ranks:
                for i, slot in enumerate(rank):
                    ties = [t for t in (slot.up if downward else slot.down) if t[3] > LIGHT]
                    opposite = [t for t in (slot.down if downward else slot.up) if t[3] > LIGHT]
                    if len(ties) != 1 or (not downward and len(opposite) == 1):
                        continue
                    other, mine, theirs, _ = ties[0]
                    x = other.x + theirs - mine
                    low = rank[i - 1].x + rank[i - 1].w + distance(rank[i - 1], slot) if i else x
                    high = rank[i + 1].x - distance(slot, rank[i + 1]) - slot.w if i + 1 < len(rank) else x
                    if low <= x <= high and abs(x - slot.x) < 40:
                        slot.x = x

    # --- the result -------------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        group = self.group
        across = self.across
        left = min((slot.x for rank in self.ranks for slot in rank), default=0.0)
        right = max((slot.x + slot.w for rank in self.ranks for slot in rank), default=0.0)
        inner = right - left
        header = HEADER if group.title_width else 0.0
        pad = PAD if group.title_width else 4.0
        # The title stands at the top; where the flow goes to the right, that is the side.
        side = header if across else 0.0
        group.w = max(inner + 2 * pad + side, 0.0 if across else group.title_width + 2 * pad)
        shift = (group.w - inner + side) / 2 - left
        for rank in self.ranks:
            for slot in rank:
                slot.x = round(slot.x + shift, 1)
        tops, bottoms = self._rank_heights(pad, 0.0 if across else header)
        group.h = bottoms[-1]
        if across:
            group.h = max(group.h, group.title_width + 2 * pad)
        for rank, top, bottom in zip(self.ranks, tops, bottoms, strict=True):
            for slot in rank:
                if slot.box is not None:
                    slot.box.x = slot.x
                    # A leaf stands close to what uses it, whatever else is on its rank.
                    room = bottom - top - slot.box.h
                    slot.box.y = round(top + (room if slot.box.light else room / 2), 1)
        self._route(tops, bottoms)
        if group.title_width and not across:
            self._place_title()

    def _place_title(self) -> None:
        """The title stands at the left, or at the right or between, where no edge enters."""
        group = self.group
        ports = sorted(group.in_ports.values())
        room = group.title_width + 8
        edges = [0.0, *ports, group.w]
        group.title_x = next(
            (
                low + 10 if i == 0 else high - room - 2 if i == len(edges) - 2 else low + 6
                for i, (low, high) in enumerate(itertools.pairwise(edges))
                if high - low >= room + 8
            ),
            10.0,
        )

    def _rank_heights(self, pad: float, header: float) -> tuple[list[float], list[float]]:
        tops, bottoms = [], []
        y = 0.0
        for r, rank in enumerate(self.ranks):
            height = max((slot.box.h for slot in rank if slot.box is not None), default=0.0)
            tops.append(y)
            bottoms.append(y + height)
            bend = max((abs(slot.x + mine - other.x - theirs) for slot in rank for other, mine, theirs, _ in slot.down), default=0.0)
            gap = RANK_GAP + min(bend / 10, 30.0)
            if r == 0:
                gap = header + pad + (min(bend / 10, 30.0) if bend else 0.0)
            if r == len(self.ranks) - 2:
                gap = pad + (min(bend / 10, 30.0) + 4 if rank and self.ranks[-1] else 0.0)
            y = round(bottoms[-1] + gap, 1)
        return tops, bottoms

    def _route(self, tops: list[float], bottoms: list[float]) -> None:
        group = self.group
        last = len(self.ranks) - 1
        for number, wire in enumerate(group.wires):
            source = wire.source
            for target in wire.targets:
                path: list[tuple[float, float]] = []
                if source is None:
                    start = 0
                    x = self.lanes[number, 0].x + 1
                    path.append((x, 0.0))
                    group.in_ports[wire.value] = x
                else:
                    start = self.slots[source].rank
                    x = source.x + source.out_ports[wire.value]
                    path += [(x, source.y + source.h), (x, bottoms[start])]
                end = last if target is None else self.slots[target].rank
                for rank in range(start + 1, end):
                    x = self.lanes[number, rank].x + 1
                    path += [(x, tops[rank]), (x, bottoms[rank])]
                if target is None:
                    x = self.lanes[number, last].x + 1
                    path.append((x, tops[last]))
                    group.out_ports[wire.value] = x
                else:
                    x = target.x + target.in_ports[wire.value]
                    path += [(x, tops[end]), (x, target.y)]
                wire.paths.append(without_repeats(path))


def without_repeats(path: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [point for i, point in enumerate(path) if i == 0 or point != path[i - 1]]
