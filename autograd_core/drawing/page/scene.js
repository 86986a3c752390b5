// What is in view, given the groups that are open. The same as scene.py, which explains it.
"use strict";
const FEW_USES = 4, NEAR = 6, MOST_UNREACHED = 6, MANY_VALUES = 4;
const COMMUTATIVE = new Set(["add", "multiply", "maximum", "minimum", "fmax", "fmin", "hypot", "logaddexp", "logaddexp2"]);

function membersOf(group) {
  const found = [], stack = [...group.children].reverse();
  while (stack.length) {
    const item = stack.pop();
    if (typeof item === "object" && item.kind === "part") stack.push(...[...item.children].reverse());
    else found.push(item);
  }
  return found;
}

function visibleChildren(group) {
  if (group.kind !== "repeat") return group.children;
  const first = membersOf(group)[0];
  return typeof first === "object" ? first.children : [first];
}

function verticesOf(item) {
  if (typeof item !== "object") return [item];
  if (!item.vertices) {
    item.vertices = [];
    const stack = [item];
    while (stack.length) {
      const top = stack.pop();
      if (typeof top === "object") stack.push(...[...top.children].reverse());
      else item.vertices.push(top);
    }
  }
  return item.vertices;
}

class Scene {
  constructor(graph, opened, plates, constants) {
    Object.assign(this, { graph, opened, plates, constants });
    this.items = new Map(); this.shown = new Map(); this.member = new Map(); this.represents = new Map(); this.beside = new Map();
    this.root = this.item("", "group", null, { group: graph.root, children: [] });
    this.items.delete("");
    this.open();
    const edges = this.edgesInView();
    this.placeLeaves(edges);
    for (const [edge, target] of edges) this.connect(edge, target);
    let lost = 0;
    for (const v of graph.vertices) if (v.unreached && lost++ < MOST_UNREACHED) this.leafItem(`n${v.index}`, "leaf", v, this.root);
    this.orderChildren();
  }

  item(key, kind, parent, more) {
    const item = { key, kind, parent, depth: parent ? parent.depth + 1 : 0, vertex: null, group: null, children: null, nets: new Map(),
      inputs: new Map(), outputs: new Set(), ghost: false, carried: false, rules: [], output: "", ...more };
    this.items.set(key, item);
    return item;
  }

  open() {
    const stack = [this.root];
    while (stack.length) {
      const frame = stack.pop();
      let children = frame.group.children;
      if (this.plates.has(frame.group.key)) {
        this.notePlate(frame.group);
        children = visibleChildren(frame.group);
        const first = membersOf(frame.group).slice(0, 1).map(verticesOf)[0];
        frame.output = this.outputs(verticesOf(frame.group).filter((v) => !first.includes(v)));
      }
      for (const child of children) {
        let item;
        if (typeof child === "object") {
          item = this.item(child.key, "group", frame, { group: child });
          if (this.opened.has(child.key)) { item.children = []; stack.push(item); }
          else { for (const v of verticesOf(child)) this.shown.set(v, item); item.output = this.outputs(verticesOf(child)); }
        } else {
          item = this.item(`n${child}`, "op", frame, { vertex: this.graph.vertices[child] });
          this.shown.set(child, item);
        }
        frame.children.push(item);
      }
    }
  }

  outputs(vertices) { return vertices.map((v) => this.graph.vertices[v].output).filter(Boolean).join(", "); }

  notePlate(group) {
    const members = membersOf(group).map(verticesOf);
    members.forEach((member, number) => member.forEach((v, i) => {
      if (!this.member.has(v)) this.member.set(v, []);
      this.member.get(v).push([group.key, number]);
      this.represents.set(v, members[0][i]);
    }));
  }

  standsFor(v) {
    for (let r = this.represents.get(v); r !== undefined && r !== v; r = this.represents.get(v)) v = r;
    return v;
  }

  edgesInView() {
    const result = [];
    for (const edge of this.graph.edges) {
      const target = this.shown.get(this.standsFor(edge.target));
      const source = this.graph.vertices[edge.source];
      if (!target || (source.kind === "constant" && !this.constants)) continue;
      if (source.kind === "op") {
        if (this.shown.get(this.standsFor(edge.source)) !== target || this.isCarried(edge)) result.push([edge, target]);
      } else if (this.standsFor(edge.target) === edge.target && (target.kind === "op" || (target.group && this.dataOf(target.group).has(edge.source))))
        result.push([edge, target]);
    }
    return result;
  }

  isCarried(edge) {
    const a = this.membersOf(edge.source), b = this.membersOf(edge.target);
    for (const [plate, number] of b) if (a.has(plate) && a.get(plate) !== number) return true;
    // Members that are not shown may be wired otherwise. What stands for a value then may come later than what stands for its use.
    return a.size > 0 && this.standsFor(edge.source) >= this.standsFor(edge.target);
  }

  membersOf(v) { // the plates that a vertex is in, and in which member; of a plate within a plate, where what stands for it is
    const found = new Map();
    for (;;) {
      for (const [plate, number] of this.member.get(v) || []) if (!found.has(plate)) found.set(plate, number);
      const first = this.represents.get(v);
      if (first === undefined || first === v) return found;
      v = first;
    }
  }

  dataOf(group) {
    const first = group.kind === "repeat" ? membersOf(group)[0] : group;
    return typeof first === "object" ? first.data : new Set();
  }

  frameFor(v, target) {
    let frame = target.parent;
    while (frame.parent && this.dataOf(frame.group).has(v)) frame = frame.parent;
    return frame;
  }

  placeLeaves(edges) {
    const place = new Map([...this.items.values()].map((item, i) => [item, i]));
    const uses = new Map();
    for (const [edge, target] of edges) {
      if (this.graph.vertices[edge.source].kind === "op") continue;
      const frame = this.frameFor(edge.source, target), key = `${edge.source}|${frame.key}`;
      if (!uses.has(key)) uses.set(key, { source: edge.source, frame, targets: new Set() });
      uses.get(key).targets.add(target);
    }
    for (const { source, frame, targets } of uses.values()) {
      const vertex = this.graph.vertices[source], sorted = [...targets].sort((a, b) => place.get(a) - place.get(b));
      const clusters = [];
      sorted.forEach((target, i) => {
        if (!i || sorted.length > FEW_USES || place.get(target) - place.get(sorted[i - 1]) > NEAR) clusters.push([]);
        clusters[clusters.length - 1].push(target);
      });
      for (const cluster of clusters) {
        const item = this.leafItem(`n${source}@${clusters.length > 1 ? cluster[0].key : frame.key}`, vertex.kind, vertex, frame);
        item.ghost = clusters.length > 1;
        for (const target of cluster) this.beside.set(`${source}|${target.key}`, item);
      }
    }
  }

  leafItem(key, kind, vertex, frame) {
    let item = this.items.get(key);
    if (!item) { item = this.item(key, kind, frame, { vertex }); frame.children.push(item); }
    return item;
  }

  connect(edge, target) {
    const vertex = this.graph.vertices[this.standsFor(edge.source)];
    let source;
    if (vertex.kind !== "op") source = this.beside.get(`${edge.source}|${target.key}`);
    else if (this.isCarried(edge)) {
      this.shown.get(vertex.index).carried = true;
      source = this.leafItem(`p${vertex.index}@${target.key}`, "previous", vertex, target.parent);
    } else source = this.shown.get(vertex.index);
    if (source === target) return;
    let value = `${vertex.index}`;
    if (source.kind === "group" && !source.outputs.has(value) && source.outputs.size >= MANY_VALUES) value = source.key;
    if (source.kind !== "op") value = `${value}@${source.key}`;
    this.addRule(edge, vertex, target);
    if (!target.inputs.has(value)) target.inputs.set(value, []);
    const names = target.inputs.get(value), at = edge.argument.indexOf("["), name = at < 0 ? edge.argument : edge.argument.slice(at);
    const ordered = target.vertex && !COMMUTATIVE.has(target.vertex.op) && this.graph.arity[target.vertex.index] > 1;
    if (ordered && !names.includes(name) && names.length < 3 && vertex.name.split(".").pop() !== name) names.push(name);
    this.route(value, vertex, source, target);
  }

  addRule(edge, source, target) {
    if (!target.vertex || source.kind === "constant") return;
    const name = edge.argument.split("[")[0], rule = (this.graph.rules[target.vertex.op] || {})[name];
    const text = rule && `${name}: ${rule.includes(" -> ") ? rule.slice(rule.indexOf(" -> ") + 4) : ""}`;
    if (text && !target.rules.includes(text)) target.rules.push(text);
  }

  route(value, vertex, source, target) {
    let up = source, down = target;
    up.outputs.add(value);
    const into = [];
    const leave = () => { this.net(up.parent, value, vertex, up).targets.add(null); up = up.parent; up.outputs.add(value); };
    const enter = () => { into.push(down); down = down.parent; };
    while (down.depth > up.depth) enter();
    while (up.depth > down.depth) leave();
    while (up.parent !== down.parent) { leave(); enter(); }
    this.net(up.parent, value, vertex, up).targets.add(down);
    if (!down.inputs.has(value)) down.inputs.set(value, []);
    for (const inner of into.reverse()) {
      this.net(inner.parent, value, vertex, null).targets.add(inner);
      if (!inner.inputs.has(value)) inner.inputs.set(value, []);
    }
  }

  net(frame, value, vertex, source) {
    const key = `${value}|${source ? source.key : ""}`;
    if (!frame.nets.has(key)) frame.nets.set(key, { value, vertex, source, targets: new Set() });
    return frame.nets.get(key);
  }

  orderChildren() {
    const real = (item) => item.kind === "op" || item.kind === "group";
    const stack = [this.root];
    while (stack.length) {
      const frame = stack.pop(), place = new Map();
      for (const child of frame.children) if (real(child)) place.set(child, place.size);
      for (const net of frame.nets.values()) {
        if (!net.source || place.has(net.source)) continue;
        const at = [...net.targets].filter((t) => t && place.has(t)).map((t) => place.get(t));
        place.set(net.source, at.length ? Math.min(...at) : 0);
      }
      frame.children.sort((a, b) => (place.get(a) || 0) - (place.get(b) || 0) || real(a) - real(b));
      for (const child of frame.children) if (child.children) stack.push(child);
    }
  }
}
