// The page: unpacks the graph, keeps what is open and selected, and answers mouse and keyboard.
"use strict";

class Graph {
  constructor(data) {
    const S = data.strings, [kinds, label, op, shape, dtype, nbytes, saved, name, freed] = data.vertices;
    const KINDS = { o: "op", l: "leaf", c: "constant" };
    this.vertices = [...kinds].map((k, index) => ({ index, kind: KINDS[k], label: S[label[index]], op: S[op[index]], shape: S[shape[index]], dtype: S[dtype[index]],
      nbytes: nbytes[index], saved: saved[index], name: S[name[index]], freed: freed === 1 || (Array.isArray(freed) && freed[index] === 1) }));
    for (const [index, more] of Object.entries(data.more)) Object.assign(this.vertices[index], more);
    const { line, code, module, seconds, backwardSeconds, order, value, gradient } = data.facts;
    this.vertices.forEach((v, i) => {
      v.line = line && line[i] ? S[line[i]] : ""; v.code = code && code[i] ? S[code[i]] : ""; v.module = module && module[i] ? S[module[i]] : "";
      v.seconds = seconds ? seconds[i] : null; v.backwardSeconds = backwardSeconds ? backwardSeconds[i] : null;
      v.order = order ? order[i] : null; v.value = value ? value[i] : null; v.gradient = gradient ? gradient[i] : null;
    });
    this.edges = [];
    this.arity = new Array(this.vertices.length).fill(0);
    this.before = this.vertices.map(() => []); this.after = this.vertices.map(() => []);
    for (let i = 0; i < data.edges.length; i += 3) {
      const edge = { source: data.edges[i], target: data.edges[i + 1], argument: S[data.edges[i + 2]] };
      this.edges.push(edge);
      this.arity[edge.target] += 1;
      this.before[edge.target].push(edge.source);
      this.after[edge.source].push(edge.target);
    }
    this.parents = new Map(); this.home = new Map();
    this.root = this.group(data.program, S);
    this.rules = data.rules; this.health = data.health; this.notes = data.notes; this.savedBytes = data.saved;
  }

  group([key, kind, name, detail, path, count, given, children], S) {
    const group = { key, kind, name: S[name], detail: S[detail], path: S[path], count, data: new Set(given), children: [] };
    for (const child of children) {
      if (Array.isArray(child)) {
        const inner = this.group(child, S);
        this.parents.set(inner, group);
        group.children.push(inner);
      } else { group.children.push(child); this.home.set(child, group); }
    }
    return group;
  }

  *groups() { for (const stack = [this.root]; stack.length;) { const g = stack.pop(); yield g; for (const c of g.children) if (typeof c === "object") stack.push(c); } }
  sourcesOf(v) { return this.before[v]; }
  nameOf(v) { const vertex = this.vertices[v]; return vertex.name || (vertex.kind === "op" ? `%${v} ${vertex.op}` : vertex.label); }

  reach(v, ways) {
    const seen = new Set([v]), stack = [v];
    while (stack.length) for (const next of ways[stack.pop()]) if (!seen.has(next)) { seen.add(next); stack.push(next); }
    return seen;
  }
}

class Page {
  constructor(data) {
    this.graph = new Graph(data);
    this.opened = new Set(data.view.opened); this.plates = new Set(data.view.plates);
    this.first = data.view;
    this.direction = data.view.direction;
    const flags = new Map(), path = new Set();
    for (const f of [...this.graph.health].reverse()) {
      for (const v of f.vertices) flags.set(v, f.kind);
      if (f.path.length) for (const v of [...f.path, ...f.vertices]) path.add(v);
    }
    this.look = { heat: null, flags, path, backward: data.view.backward, numbered: false };
    this.selected = null; this.filter = ""; this.zoom = 0; this.matches = []; this.match = -1;
    this.svg = document.getElementById("picture"); this.scroller = document.getElementById("scroller");
    this.controls();
    if (data.view.heat) this.setHeat(data.view.heat);
    this.draw();
    this.fit(true);
  }

  // --- drawing --------------------------------------------------------------------------------------------------------------------

  draw() {
    const started = performance.now();
    this.scene = new Scene(this.graph, this.opened, this.plates, !this.look.backward);
    this.figure = figureOf(this.scene, this.direction, this.look);
    const { width, height, inner } = svgOf(this.figure, this.graph);
    this.width = width; this.height = height;
    this.svg.setAttribute("viewBox", `0 0 ${n1(width)} ${n1(height)}`);
    this.svg.innerHTML = inner;
    this.resize();
    this.mark();
    this.legend();
    this.milliseconds = performance.now() - started;
    document.documentElement.dataset.drawn = this.milliseconds.toFixed(1);
    document.documentElement.dataset.boxes = this.scene.items.size;
  }

  resize() { this.svg.setAttribute("width", this.width * this.scale()); this.svg.setAttribute("height", this.height * this.scale()); }
  scale() { return 1.2 ** this.zoom; }

  fit(first) {
    const room = this.scroller.clientWidth - 4, tall = this.scroller.clientHeight - 4;
    const wanted = Math.min(1, room / this.width, first ? 1 : tall / this.height);
    this.zoom = Math.log(Math.max(wanted, first ? 0.6 : 0.1)) / Math.log(1.2);
    this.resize();
  }

  zoomBy(steps, x, y) {
    const box = this.scroller.getBoundingClientRect(), cx = (x === undefined ? box.width / 2 : x - box.left), cy = (y === undefined ? box.height / 2 : y - box.top);
    const before = this.scale(), px = (this.scroller.scrollLeft + cx) / before, py = (this.scroller.scrollTop + cy) / before;
    this.zoom = Math.max(-14, Math.min(this.zoom + steps, 10));
    this.resize();
    this.scroller.scrollLeft = px * this.scale() - cx;
    this.scroller.scrollTop = py * this.scale() - cy;
  }

  // --- opening and closing --------------------------------------------------------------------------------------------------------

  open(key) {
    this.opened.add(key);
    const group = this.groupOf(key);
    if (group && group.kind === "repeat") this.plates.add(key);
    this.redraw(key);
  }

  close(key) {
    this.opened.delete(key); this.plates.delete(key);
    this.redraw(key);
  }

  togglePlate(key) {
    if (this.plates.has(key)) this.plates.delete(key); else this.plates.add(key);
    this.redraw(key);
  }

  redraw(key) {
    const at = (k) => { const e = this.figure.placed.find((p) => p.item.key === k); return e ? [e.box.x, e.box.y] : null; };
    const before = at(key);
    this.draw();
    const after = at(key);
    if (before && after) { // what was clicked stays under the pointer
      this.scroller.scrollLeft += (after[0] - before[0]) * this.scale();
      this.scroller.scrollTop += (after[1] - before[1]) * this.scale();
    }
    this.focus(key);
  }

  groupOf(key) { for (const g of this.graph.groups()) if (g.key === key) return g; return null; }

  expandAll() {
    const count = this.graph.vertices.length;
    if (count > 6000) { this.say(`${count} boxes are too many to open at once; open parts, or search.`); return; }
    for (const g of this.graph.groups()) { this.opened.add(g.key); if (g.kind === "repeat") this.plates.add(g.key); }
    this.draw();
  }

  collapseAll() { this.opened = new Set([""]); this.plates = new Set(); this.draw(); }
  reset() { this.opened = new Set(this.first.opened); this.plates = new Set(this.first.plates); this.draw(); this.fit(true); }

  reveal(v) {
    for (let g = this.graph.home.get(v); g; g = this.graph.parents.get(g)) {
      this.opened.add(g.key);
      if (g.kind === "repeat") this.plates.delete(g.key);
      const parent = this.graph.parents.get(g);
      if (parent && parent.kind === "repeat" && membersOf(parent)[0] === g) this.plates.add(parent.key);
    }
    this.draw();
  }

  // --- selection ------------------------------------------------------------------------------------------------------------------

  itemsOf(v) { return [...this.scene.items.values()].filter((i) => i.vertex && i.vertex.index === v && i.kind !== "previous"); }

  select(key, scroll) {
    this.selected = key;
    this.mark();
    this.details();
    if (key) this.focus(key, scroll);
  }

  goTo(v) {
    if (!this.itemsOf(v).length) {
      if (this.graph.vertices[v].kind !== "op") { const user = this.graph.after[v][0]; if (user !== undefined) this.reveal(user); } else this.reveal(v);
    }
    const [item] = this.itemsOf(v);
    if (item) this.select(item.key, true);
  }

  element(key) { return this.svg.querySelector(`[data-key="${CSS.escape(key)}"]`); }

  focus(key, scroll) {
    const element = this.element(key);
    if (!element) return;
    for (const other of this.svg.querySelectorAll('[tabindex="0"]')) other.setAttribute("tabindex", "-1");
    element.setAttribute("tabindex", "0");
    element.focus({ preventScroll: true });
    if (!scroll) return;
    const box = element.getBoundingClientRect(), view = this.scroller.getBoundingClientRect();
    if (box.left < view.left || box.right > view.right || box.top < view.top || box.bottom > view.bottom) {
      this.scroller.scrollLeft += box.left + box.width / 2 - view.left - view.width / 2;
      this.scroller.scrollTop += box.top + box.height / 2 - view.top - view.height / 2;
    }
  }

  mark() {
    const item = this.selected ? this.scene.items.get(this.selected) : null;
    let keep = null;
    if (item && this.filter) {
      keep = new Set();
      for (const v of item.vertex ? [item.vertex.index] : verticesOf(item.group)) {
        if (this.filter !== "descendants") for (const w of this.graph.reach(v, this.graph.before)) keep.add(w);
        if (this.filter !== "ancestors") for (const w of this.graph.reach(v, this.graph.after)) keep.add(w);
      }
    }
    const kept = (it) => !keep || (it.vertex ? keep.has(it.vertex.index) : verticesOf(it.group).some((v) => keep.has(v)));
    const near = item && item.vertex ? item.vertex.index : -1;
    for (const element of this.svg.querySelectorAll(".n")) {
      const it = this.scene.items.get(element.dataset.key);
      element.classList.toggle("selected", it === item);
      element.classList.toggle("same", it !== item && !!it.vertex && it.vertex.index === near);
      element.classList.toggle("dim", !kept(it));
      element.classList.toggle("found", !!it.vertex && this.matches.includes(it.vertex.index));
    }
    for (const element of this.svg.querySelectorAll(".w,.a")) {
      const from = Number(element.dataset.from), to = this.scene.items.get(element.dataset.to);
      element.classList.toggle("near", !!item && (from === near || (to && to === item)));
      element.classList.toggle("dim", !!keep && !(keep.has(from) && (!to || kept(to))));
    }
    if (!this.svg.querySelector('[tabindex="0"]')) { const first = this.svg.querySelector(".n"); if (first) first.setAttribute("tabindex", "0"); }
  }

  // --- the panel ------------------------------------------------------------------------------------------------------------------

  details() {
    const panel = document.getElementById("details"), item = this.selected ? this.scene.items.get(this.selected) : null;
    panel.hidden = !item;
    if (!item) return;
    const v = item.vertex, rows = [];
    const row = (name, html) => { if (html) rows.push(`<dt>${name}</dt><dd>${html}</dd>`); };
    const link = (w) => `<a href="#" data-go="${w}">${escape(this.graph.nameOf(w))}</a>`;
    const summary = (s) => s && `min ${numberText(s[0])}, max ${numberText(s[1])}, mean ${numberText(s[2])}, rms ${numberText(s[3])}` +
      (s[4] ? `, ${s[4]} zero` : "") + (s[5] ? `, <b class="f">${s[5]} NaN</b>` : "") + (s[6] ? `, <b class="f">${s[6]} infinite</b>` : "");
    if (v) {
      row("shape", `${escape(v.shape)} ${escape(v.dtype)}`);
      row("memory", escape(v.kind === "op" ? savedText(v) : sizeText(v.nbytes)));
      row("gradient", v.kind === "constant" ? "none: a constant" : "requires grad");
      row("error", v.error && `<b class="f">${escape(v.error)}</b>`);
      row("change", v.change && escape(v.change));
      row("problem", flagOf(item, this.look) && `<b class="f">${escape(flagOf(item, this.look))}</b>`);
      row("from", this.graph.before[v.index].map(link).join(", "));
      row("used by", this.graph.after[v.index].slice(0, 12).map(link).join(", ") + (this.graph.after[v.index].length > 12 ? ", …" : ""));
      row("module", escape(v.module));
      row("line", v.line && `${escape(v.line)}<pre>${escape(v.code)}</pre>`);
      const rules = Object.entries(v.kind === "op" ? this.graph.rules[v.op] || {} : {});
      row("rule", rules.map(([name, text]) => `<code>${escape(name)}: ${escape(text)}</code>`).join("<br>"));
      row("value", summary(v.value)); row("gradient is", summary(v.gradient));
      row("forward", v.seconds !== null && v.seconds !== undefined && secondsText(v.seconds));
      row("backward", [v.order && `step ${v.order}`, v.backwardSeconds && secondsText(v.backwardSeconds)].filter(Boolean).join(", "));
      row("output", escape(v.output || ""));
    } else {
      const inside = verticesOf(item.group).map((w) => this.graph.vertices[w]);
      row("holds", groupLine(item));
      row("module", escape(item.group.path || ""));
      row("memory", `${sizeText(sum(inside.map((w) => w.nbytes)))}, keeps ${sizeText(sum(inside.map((w) => w.saved)))}`);
      const seconds = inside.filter((w) => w.seconds).map((w) => w.seconds);
      row("forward", seconds.length ? secondsText(sum(seconds)) : "");
    }
    const title = v ? (v.kind === "op" ? `%${v.index} ${v.label}` : v.label) : groupTitle(item);
    const button = (name) => `<button data-filter="${name}" aria-pressed="${this.filter === name}">${name}</button>`;
    panel.innerHTML = `<button class="x" data-filter="close" aria-label="close details">×</button><h2>${escape(title)}</h2><dl>${rows.join("")}</dl><p>show only ${button("ancestors")} ${button("descendants")} ${button("both")}</p>`;
  }

  legend() {
    const legend = document.getElementById("legend"), heat = this.look.heat;
    legend.hidden = !heat;
    if (!heat) return;
    const marks = heat.marks();
    legend.innerHTML = `<span>${escape(heat.title)}</span><div class="scale"></div><div class="marks">${marks.map((m) => `<span>${escape(m)}</span>`).join("")}</div>`;
  }

  setHeat(name) { this.look.heat = name ? new Heat(name, this.graph) : null; document.getElementById("heat").value = name || ""; }
  say(text) { document.getElementById("status").textContent = text; }

  search(text, step) {
    text = text.trim().toLowerCase();
    const found = text ? this.graph.vertices.filter((v) => [v.label, v.name, v.op, v.module, v.output || "", `%${v.index}`, v.line].some((t) => t.toLowerCase().includes(text))).map((v) => v.index) : [];
    const same = found.join() === this.matches.join();
    this.matches = found;
    this.match = found.length ? (step ? ((same ? this.match : -1) + step + found.length) % found.length : -1) : -1;
    this.say(text ? `${found.length} found${this.match >= 0 ? `, ${this.match + 1} shown` : ""}` : "");
    if (step && this.match >= 0) { const input = document.getElementById("search"); this.goTo(found[this.match]); input.focus(); } else this.mark();
  }

  // --- mouse and keyboard ---------------------------------------------------------------------------------------------------------

  controls() {
    const by = (id) => document.getElementById(id), on = (id, kind, act) => by(id).addEventListener(kind, act);
    const known = Object.keys(HEATS).filter((name) => new Heat(name, this.graph).values.size);
    by("heat").innerHTML = `<option value="">no heat</option>${known.map((n) => `<option>${n}</option>`).join("")}`;
    on("heat", "change", (e) => { this.setHeat(e.target.value); this.draw(); });
    on("numbers", "click", (e) => { this.look.numbered = !this.look.numbered; e.target.setAttribute("aria-pressed", this.look.numbered); this.draw(); });
    by("numbers").hidden = !this.graph.vertices.some((v) => v.order);
    on("backward", "click", (e) => { this.look.backward = !this.look.backward; e.target.setAttribute("aria-pressed", this.look.backward); this.draw(); this.fit(true); });
    by("backward").setAttribute("aria-pressed", this.look.backward);
    on("turn", "click", () => { this.direction = this.direction === "down" ? "right" : "down"; this.draw(); this.fit(true); });
    on("expand", "click", () => this.expandAll());
    on("collapse", "click", () => this.collapseAll());
    on("reset", "click", () => this.reset());
    on("in", "click", () => this.zoomBy(1));
    on("out", "click", () => this.zoomBy(-1));
    on("fit", "click", () => this.fit(false));
    on("theme", "click", () => {
      const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
    });
    on("search", "input", (e) => this.search(e.target.value, 0));
    on("search", "keydown", (e) => {
      if (e.key === "Enter") { e.preventDefault(); this.search(e.target.value, e.shiftKey ? -1 : 1); }
      if (e.key === "Escape") { e.target.value = ""; this.search("", 0); this.svg.querySelector('[tabindex="0"]')?.focus(); }
      e.stopPropagation();
    });
    const list = by("health");
    list.hidden = !this.graph.health.length && !this.graph.notes.length;
    list.innerHTML = this.graph.notes.map((n) => `<li>${escape(n)}</li>`).join("") +
      this.graph.health.map((f) => `<li class="f"><a href="#" data-go="${f.vertices[0]}">⚠ ${escape(f.text)}</a></li>`).join("");
    document.addEventListener("click", (e) => this.clicked(e));
    this.svg.addEventListener("dblclick", (e) => { const g = e.target.closest(".frame"); if (g) this.close(g.dataset.key); });
    document.addEventListener("keydown", (e) => this.key(e));
    this.scroller.addEventListener("wheel", (e) => {
      if (!e.ctrlKey && !e.metaKey) return;
      e.preventDefault();
      this.zoomBy(e.deltaY < 0 ? 1 : -1, e.clientX, e.clientY);
    }, { passive: false });
    let drag = null;
    this.scroller.addEventListener("pointerdown", (e) => { if (!e.target.closest(".n,.b") && e.pointerType === "mouse") drag = [e.clientX, e.clientY]; });
    addEventListener("pointermove", (e) => {
      if (!drag) return;
      this.scroller.scrollLeft -= e.clientX - drag[0]; this.scroller.scrollTop -= e.clientY - drag[1];
      drag = [e.clientX, e.clientY];
    });
    addEventListener("pointerup", () => { drag = null; });
  }

  clicked(e) {
    const go = e.target.closest("[data-go]"), filter = e.target.closest("[data-filter]");
    if (go) { e.preventDefault(); this.goTo(Number(go.dataset.go)); return; }
    if (filter) {
      if (filter.dataset.filter === "close") this.filter = "", this.select(null);
      else { this.filter = this.filter === filter.dataset.filter ? "" : filter.dataset.filter; this.mark(); this.details(); }
      return;
    }
    if (!this.svg.contains(e.target)) return;
    const close = e.target.closest("[data-close]"), plate = e.target.closest("[data-plate]"), node = e.target.closest(".n");
    if (close) this.close(close.dataset.close);
    else if (plate) this.togglePlate(plate.dataset.plate);
    else if (node) this.activate(node.dataset.key);
    else this.select(null);
  }

  activate(key) {
    const item = this.scene.items.get(key);
    if (item.group) { this.open(key); this.focusInside(key); } else this.select(key, true);
  }

  focusInside(key) {
    const frame = this.scene.items.get(key);
    const inside = frame && frame.children && frame.children.find((c) => !c.children);
    if (inside) this.focus(inside.key);
  }

  key(e) {
    if (e.target.matches("input,select,textarea") || e.altKey) return;
    const active = document.activeElement.closest ? document.activeElement.closest(".n,.b") : null;
    const key = active && active.dataset.key, item = key !== null && key !== undefined ? this.scene.items.get(key) : null;
    const act = {
      "/": () => document.getElementById("search").focus(),
      "+": () => this.zoomBy(1), "=": () => this.zoomBy(1), "-": () => this.zoomBy(-1), "0": () => this.fit(false),
      Escape: () => { this.filter = ""; this.select(null); if (key) this.focus(key); },
      Backspace: () => { const frame = item && item.parent; if (frame && frame.parent) this.close(frame.key); },
      ArrowDown: () => this.step(item, 1), ArrowUp: () => this.step(item, -1),
      ArrowRight: () => this.aside(item, 1), ArrowLeft: () => this.aside(item, -1),
    };
    if ((e.key === "Enter" || e.key === " ") && active) act[e.key] = () => {
      if (active.dataset.close) this.close(active.dataset.close); else if (active.dataset.plate) this.togglePlate(active.dataset.plate); else this.activate(key);
    };
    if (act[e.key] && !(e.ctrlKey || e.metaKey)) { e.preventDefault(); act[e.key](); }
  }

  // Up and down go along the edges, left and right among the boxes at about the same height.
  step(item, way) {
    const boxes = this.figure.placed.filter((p) => !p.item.children), here = item && boxes.find((p) => p.item === item);
    if (!here) { if (boxes.length) this.focus(boxes[0].item.key, true); return; }
    const down = this.figure.direction !== "right", along = (p) => (down ? p.box.y + p.box.h / 2 : p.box.x + p.box.w / 2), over = (p) => (down ? p.box.x + p.box.w / 2 : p.box.y + p.box.h / 2);
    const own = new Set(item.vertex ? [item.vertex.index] : verticesOf(item.group)), ways = this.look.backward === (way > 0) ? this.graph.before : this.graph.after;
    const next = new Set([...own].flatMap((v) => ways[v]).map((v) => this.scene.standsFor(v)).filter((v) => !own.has(v)));
    const linked = boxes.filter((p) => p !== here && (p.item.vertex ? p.item.kind !== "previous" && next.has(p.item.vertex.index) : verticesOf(p.item.group).some((v) => next.has(v))));
    const ahead = (linked.length ? linked : boxes).filter((p) => (along(p) - along(here)) * way > 0);
    ahead.sort((a, b) => Math.abs(along(a) - along(here)) + Math.abs(over(a) - over(here)) - Math.abs(along(b) - along(here)) - Math.abs(over(b) - over(here)));
    if (ahead.length) this.focus(ahead[0].item.key, true);
  }

  aside(item, way) {
    const boxes = this.figure.placed.filter((p) => !p.item.children), here = item && boxes.find((p) => p.item === item);
    if (!here) { if (boxes.length) this.focus(boxes[0].item.key, true); return; }
    const x = (p) => p.box.x + p.box.w / 2, y = (p) => p.box.y + p.box.h / 2;
    const beside = boxes.filter((p) => (x(p) - x(here)) * way > 0 && Math.abs(y(p) - y(here)) < 80);
    beside.sort((a, b) => Math.abs(x(a) - x(here)) + 3 * Math.abs(y(a) - y(here)) - Math.abs(x(b) - x(here)) - 3 * Math.abs(y(b) - y(here)));
    if (beside.length) this.focus(beside[0].item.key, true);
  }
}

window.page = new Page(JSON.parse(document.getElementById("graph").textContent));
