// Where everything goes. The same layered layout as layout.py, which explains it: ranks by the longest way, a lane on every rank
// that an edge passes, rows ordered by barycentres, columns by isotonic regression, bends only between ranks.
"use strict";
const GAP = 14, LANE = 10, RANK_GAP = 22, PAD = 12, HEADER = 20, SWEEPS = 8, CHAIN = 4, ASIDE = 0.3, LIGHT = 0.05;
const round1 = (x) => Math.round(x * 10) / 10;

function arrange(root, direction) {
  const order = [];
  const stack = [root];
  while (stack.length) {
    const group = stack.pop();
    order.push(group);
    for (const child of group.children || []) if (child.children) stack.push(child);
  }
  const across = direction === "right";
  if (across) for (const g of order) for (const c of g.children) if (!c.children) [c.w, c.h] = [c.h, c.w];
  for (let i = order.length - 1; i >= 0; i--) new Level(order[i], across).place();
  for (const group of order) {
    for (const child of group.children) {
      child.x += group.x; child.y += group.y;
      child.titleX += child.x; child.titleY += child.y;
    }
    for (const wire of group.wires) wire.paths = wire.paths.map((path) => path.map(([x, y]) => [x + group.x, y + group.y]));
  }
  if (across) transpose(order);
  else if (direction === "up") mirror(order);
}

class Level {
  constructor(group, across) {
    this.group = group; this.across = across;
    this.slots = new Map(); this.ranks = []; this.lanes = [];
  }

  place() {
    for (const wire of this.group.wires)
      if (wire.source && wire.source.light) for (const t of wire.targets) if (t) t.lightInputs.add(wire.value);
    for (const child of this.group.children) {
      defaultPorts(child);
      this.slots.set(child, { w: child.w, box: child, rank: 0, x: 0, order: 0, up: [], down: [] });
    }
    this.assignRanks();
    this.makeLanes();
    this.orderRanks();
    if (this.reorderInputs()) this.orderRanks();
    this.assignColumns();
    this.finish();
  }

  assignRanks() {
    const children = this.group.children, position = new Map(children.map((c, i) => [c, i]));
    const after = children.map(() => []), before = children.map(() => []);
    for (const wire of this.group.wires) {
      if (!wire.source) continue;
      for (const t of wire.targets) {
        if (!t || t === wire.source) continue;
        after[position.get(wire.source)].push(position.get(t));
        before[position.get(t)].push(position.get(wire.source));
      }
    }
    const waiting = before.map((b) => b.length), rank = children.map(() => 0), order = [];
    const ready = [];
    for (let i = children.length - 1; i >= 0; i--) if (!waiting[i]) ready.push(i);
    while (ready.length) {
      const i = ready.pop();
      order.push(i);
      for (const j of [...after[i]].reverse()) if (--waiting[j] === 0) ready.push(j);
    }
    for (const i of order) for (const j of before[i]) rank[i] = Math.max(rank[i], rank[j] + 1);
    for (const i of [...order].reverse())
      if (!before[i].length && after[i].length) rank[i] = Math.min(...after[i].map((j) => rank[j])) - 1;
    const lowest = rank.length ? Math.min(...rank) : 0, highest = rank.length ? Math.max(...rank) : 0;
    this.ranks = Array.from({ length: highest - lowest + 3 }, () => []);
    children.forEach((child, i) => {
      const slot = this.slots.get(child);
      slot.rank = rank[i] - lowest + 1;
      this.ranks[slot.rank].push(slot);
    });
  }

  makeLanes() {
    const last = this.ranks.length - 1;
    for (const wire of this.group.wires) {
      const first = wire.source ? this.slots.get(wire.source).rank + 1 : 0;
      const end = Math.max(...wire.targets.map((t) => (t ? this.slots.get(t).rank : last + 1)));
      const lanes = new Map();
      this.lanes.push(lanes);
      for (let r = first; r < Math.max(end, first + (wire.source ? 0 : 1)); r++) {
        const lane = { w: 2, box: null, rank: r, x: 0, order: 0, up: [], down: [] };
        lanes.set(r, lane);
        this.ranks[r].push(lane);
      }
    }
    this.tieAll();
  }

  tieAll() {
    this.group.wires.forEach((wire, number) => {
      const source = wire.source ? this.slots.get(wire.source) : null, light = wire.source && wire.source.light;
      const alone = wire.source && wire.targets.length === 1 && wire.source.outputs.length === 1;
      const start = source ? source.rank : -1, lanes = this.lanes[number];
      let previous = source, offset = wire.source ? wire.source.outPorts.get(wire.value) : 0, r = start + 1;
      const ends = wire.targets.filter((t) => t).map((t) => this.slots.get(t).rank), branch = source ? start + 1 : 1;
      while (lanes.has(r)) {
        const lane = lanes.get(r);
        const pull = r === branch && ends.includes(branch) ? ASIDE : previous && previous.box ? 2 : 6;
        if (previous) tie(previous, offset, lane, 0, pull * (light ? LIGHT : 1));
        previous = lane; offset = 0; r += 1;
      }
      for (const t of wire.targets) {
        if (!t) continue;
        const end = this.slots.get(t), to = t.inPorts.get(wire.value);
        const weight = light ? LIGHT : alone && t.inputs.length - t.lightInputs.size === 1 ? CHAIN : 1;
        if (source && end.rank - 1 === start) tie(source, wire.source.outPorts.get(wire.value), end, to, weight);
        else if (end.rank > start) {
          const around = end.rank > 1 && !light && t.inputs.length - t.lightInputs.size > 1;
          tie(lanes.get(end.rank - 1), 0, end, to, around ? ASIDE : weight);
        }
      }
    });
  }

  orderRanks() {
    for (const rank of this.ranks) rank.forEach((slot, i) => { slot.order = i; });
    this.ranks.forEach(spreadRank);
    let best = this.ranks.map((r) => [...r]), fewest = this.crossings();
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
      if (fewest === 0 && sweep > 1) break;
      const downward = sweep % 2 === 0;
      for (const rank of downward ? this.ranks : [...this.ranks].reverse()) {
        for (const slot of rank) {
          const ties = downward ? slot.up : slot.down;
          let sum = 0, weights = 0;
          for (const t of ties) { sum += (t.other.x + t.theirs) * t.weight; weights += t.weight; }
          slot.order = ties.length ? sum / weights : slot.x;
        }
        rank.sort((a, b) => a.order - b.order);
        spreadRank(rank);
      }
      const crossings = this.crossings();
      if (crossings < fewest) { best = this.ranks.map((r) => [...r]); fewest = crossings; }
    }
    this.ranks = best;
    this.ranks.forEach(spreadRank);
  }

  crossings() {
    let total = 0;
    for (const upper of this.ranks.slice(0, -1)) {
      const ends = [];
      for (const slot of upper) for (const t of slot.down) ends.push([slot.x + t.mine, t.other.x + t.theirs]);
      ends.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
      total += inversions(ends.map((e) => e[1]));
    }
    return total;
  }

  reorderInputs() {
    const coming = new Map();
    this.group.wires.forEach((wire, number) => {
      for (const t of wire.targets) {
        if (!t || !t.free) continue;
        const lane = this.lanes[number].get(this.slots.get(t).rank - 1);
        const at = lane ? lane.x : wire.source ? this.slots.get(wire.source).x + wire.source.outPorts.get(wire.value) : 0;
        if (!coming.has(t)) coming.set(t, new Map());
        coming.get(t).set(wire.value, at);
      }
    });
    let changed = false;
    for (const [t, places] of coming) {
      const rank = (v) => (t.lightInputs.has(v) ? 1 : 0);
      const order = [...t.inputs].sort((a, b) => rank(a) - rank(b) || (places.get(a) || 0) - (places.get(b) || 0));
      if (order.some((v, i) => v !== t.inputs[i])) { changed = true; t.inputs = order; defaultPorts(t); }
    }
    if (changed) {
      for (const rank of this.ranks) for (const slot of rank) { slot.up = []; slot.down = []; }
      this.tieAll();
    }
    return changed;
  }

  assignColumns() {
    for (let sweep = 0; sweep < 2 * SWEEPS; sweep++) {
      const downward = sweep % 2 === 0;
      for (const rank of downward ? this.ranks : [...this.ranks].reverse()) {
        if (!rank.length) continue;
        const wanted = [], weights = [], apart = [];
        rank.forEach((slot, i) => {
          const ties = sweep < 2 * SWEEPS - 4 ? (downward ? slot.up : slot.down) : [...slot.up, ...slot.down];
          let sum = 0, weight = 0;
          for (const t of ties) { sum += (t.other.x + t.theirs - t.mine) * t.weight; weight += t.weight; }
          wanted.push(ties.length ? sum / weight : slot.x);
          weights.push(ties.length ? weight : 0.01);
          if (i + 1 < rank.length) apart.push(slot.w + distance(slot, rank[i + 1]));
        });
        isotonic(wanted, weights, apart).forEach((x, i) => { rank[i].x = x; });
      }
    }
    this.straighten();
    this.straighten();
  }

  straighten() {
    for (const [ranks, downward] of [[this.ranks, true], [[...this.ranks].reverse(), false]])
      for (const rank of ranks)
        rank.forEach((slot, i) => {
          const ties = (downward ? slot.up : slot.down).filter((t) => t.weight > LIGHT);
          const opposite = (downward ? slot.down : slot.up).filter((t) => t.weight > LIGHT);
          if (ties.length !== 1 || (!downward && opposite.length === 1)) return;
          const t = ties[0], x = t.other.x + t.theirs - t.mine;
          const low = i ? rank[i - 1].x + rank[i - 1].w + distance(rank[i - 1], slot) : x;
          const high = i + 1 < rank.length ? rank[i + 1].x - distance(slot, rank[i + 1]) - slot.w : x;
          if (low <= x && x <= high && Math.abs(x - slot.x) < 40) slot.x = x;
        });
  }

  finish() {
    const { group, across } = this;
    let left = Infinity, right = -Infinity;
    for (const rank of this.ranks) for (const s of rank) { left = Math.min(left, s.x); right = Math.max(right, s.x + s.w); }
    if (left > right) left = right = 0;
    const header = group.titleWidth ? HEADER : 0, pad = group.titleWidth ? PAD : 4, side = across ? header : 0;
    group.w = Math.max(right - left + 2 * pad + side, across ? 0 : group.titleWidth + 2 * pad);
    const shift = (group.w - (right - left) + side) / 2 - left;
    for (const rank of this.ranks) for (const s of rank) s.x = round1(s.x + shift);
    const [tops, bottoms] = this.rankHeights(pad, across ? 0 : header);
    group.h = bottoms[bottoms.length - 1];
    if (across) group.h = Math.max(group.h, group.titleWidth + 2 * pad);
    this.ranks.forEach((rank, r) => {
      for (const s of rank) {
        if (!s.box) continue;
        const room = bottoms[r] - tops[r] - s.box.h;
        s.box.x = s.x;
        s.box.y = round1(tops[r] + (s.box.light ? room : room / 2));
      }
    });
    this.route(tops, bottoms);
    if (group.titleWidth && !across) this.placeTitle();
  }

  placeTitle() {
    const group = this.group, room = group.titleWidth + 8;
    const edges = [0, ...[...group.inPorts.values()].sort((a, b) => a - b), group.w];
    group.titleX = 10;
    for (let i = 0; i + 1 < edges.length; i++) {
      if (edges[i + 1] - edges[i] < room + 8) continue;
      group.titleX = i === 0 ? edges[0] + 10 : i === edges.length - 2 ? edges[i + 1] - room - 2 : edges[i] + 6;
      return;
    }
  }

  rankHeights(pad, header) {
    const tops = [], bottoms = [], count = this.ranks.length;
    let y = 0;
    this.ranks.forEach((rank, r) => {
      let height = 0, bend = 0;
      for (const s of rank) {
        if (s.box) height = Math.max(height, s.box.h);
        for (const t of s.down) bend = Math.max(bend, Math.abs(s.x + t.mine - t.other.x - t.theirs));
      }
      tops.push(y);
      bottoms.push(y + height);
      const more = Math.min(bend / 10, 30);
      let gap = RANK_GAP + more;
      if (r === 0) gap = header + pad + (bend ? more : 0);
      if (r === count - 2) gap = pad + (rank.length && this.ranks[count - 1].length ? more + 4 : 0);
      y = round1(bottoms[r] + gap);
    });
    return [tops, bottoms];
  }

  route(tops, bottoms) {
    const group = this.group, last = this.ranks.length - 1;
    this.group.wires.forEach((wire, number) => {
      const source = wire.source, lanes = this.lanes[number];
      for (const target of wire.targets) {
        const path = [];
        let start = 0;
        if (!source) {
          const x = lanes.get(0).x + 1;
          path.push([x, 0]);
          group.inPorts.set(wire.value, x);
        } else {
          start = this.slots.get(source).rank;
          const x = source.x + source.outPorts.get(wire.value);
          path.push([x, source.y + source.h], [x, bottoms[start]]);
        }
        const end = target ? this.slots.get(target).rank : last;
        for (let r = start + 1; r < end; r++) { const x = lanes.get(r).x + 1; path.push([x, tops[r]], [x, bottoms[r]]); }
        if (!target) {
          const x = lanes.get(last).x + 1;
          path.push([x, tops[last]]);
          group.outPorts.set(wire.value, x);
        } else {
          const x = target.x + target.inPorts.get(wire.value);
          path.push([x, tops[end]], [x, target.y]);
        }
        wire.paths.push(path.filter((p, i) => !i || p[0] !== path[i - 1][0] || p[1] !== path[i - 1][1]));
      }
    });
  }
}

function isotonic(wanted, weights, apart) {
  const offsets = [0], blocks = [];
  apart.forEach((gap) => offsets.push(offsets[offsets.length - 1] + gap));
  wanted.forEach((want, i) => {
    let mean = want - offsets[i], weight = weights[i], count = 1;
    while (blocks.length && blocks[blocks.length - 1][0] >= mean) {
      const [other, heavy, many] = blocks.pop();
      mean = (mean * weight + other * heavy) / (weight + heavy);
      weight += heavy; count += many;
    }
    blocks.push([mean, weight, count]);
  });
  const places = [];
  for (const [mean, , count] of blocks) for (let i = 0; i < count; i++) places.push(mean + offsets[places.length]);
  return places;
}

function tie(upper, at, lower, to, weight) {
  const mine = upper.box ? at : upper.w / 2, theirs = lower.box ? to : lower.w / 2;
  upper.down.push({ other: lower, mine, theirs, weight });
  lower.up.push({ other: upper, mine: theirs, theirs: mine, weight });
}

const distance = (left, right) => (left.box && right.box ? GAP : LANE);

function spreadRank(rank) {
  let x = 0;
  rank.forEach((slot, i) => { x += i ? distance(rank[i - 1], slot) : 0; slot.x = x; x += slot.w; });
  for (const slot of rank) slot.x -= x / 2;
}

function inversions(values) {
  let total = 0;
  for (let width = 1; width < values.length; width *= 2)
    for (let start = 0; start < values.length; start += 2 * width) {
      const left = values.slice(start, start + width), right = values.slice(start + width, start + 2 * width), merged = [];
      let i = 0;
      for (const value of right) {
        while (i < left.length && left[i] <= value) merged.push(left[i++]);
        total += left.length - i;
        merged.push(value);
      }
      [...merged, ...left.slice(i)].forEach((v, j) => { values[start + j] = v; });
    }
  return total;
}

function defaultPorts(box) {
  if (box.children) return;
  const n = box.inputs.length;
  box.inPorts = new Map();
  box.outPorts = new Map(box.outputs.map((v, i) => [v, (box.w * (i + 1)) / (box.outputs.length + 1)]));
  const stream = [];
  box.inputs.forEach((v, i) => { if (!box.lightInputs.has(v)) stream.push(i); });
  if (!stream.length) {
    box.inputs.forEach((v, i) => box.inPorts.set(v, (box.w * (i + 1)) / (n + 1)));
    return;
  }
  const marks = [[-1, 0], ...stream.map((at, i) => [at, (i + 1) / (stream.length + 1)]), [n, 1]];
  for (let m = 0; m + 1 < marks.length; m++) {
    const [before, low] = marks[m], [after, high] = marks[m + 1];
    for (let at = before + 1; at < after; at++) {
      const place = before < 0 || after === n ? (at - before - (before < 0 ? 0.65 : 0)) / (after - before - 0.65) : (at - before) / (after - before);
      box.inPorts.set(box.inputs[at], box.w * (low + (high - low) * place));
    }
    if (after < n) box.inPorts.set(box.inputs[after], box.w * high);
  }
}

function transpose(order) {
  [order[0].w, order[0].h] = [order[0].h, order[0].w];
  for (const group of order) {
    for (const c of group.children) {
      [c.x, c.y, c.w, c.h] = [c.y, c.x, c.h, c.w];
      c.titleX = c.x + 10; c.titleY = c.y + 15;
    }
    for (const wire of group.wires) wire.paths = wire.paths.map((path) => path.map(([x, y]) => [y, x]));
  }
}

function mirror(order) {
  const height = order[0].h;
  for (const group of order) {
    for (const c of group.children) { c.titleY = round1(height - c.y - 7); c.y = round1(height - c.y - c.h); }
    for (const wire of group.wires) wire.paths = wire.paths.map((path) => path.map(([x, y]) => [x, round1(height - y)]));
  }
}
