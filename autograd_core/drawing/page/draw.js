// Texts, sizes and SVG for a scene. The same texts as figure.py and the same marks as svg.py.
"use strict";
const TITLE = 12, DETAIL = 10.5, SMALL = 9.5, WIDEST = 230, LINE = 1.3;
const NARROW = new Set("ijl|!.,:;'`()[]{}ft-/\\ \"r1I*"), WIDE = new Set("mwMWOQGDHNUCR@%&_+=<>~#");
const FULL = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\ud83c-\ud83e]/;

function textWidth(text, size, bold) {
  let total = 0;
  for (const c of text) {
    if (NARROW.has(c)) total += 0.36;
    else if (WIDE.has(c)) total += 0.84;
    else if (c < "\u0250") total += 0.6;
    else if (/\p{Mn}/u.test(c)) continue;
    else total += FULL.test(c) ? 1.05 : 0.72;
  }
  return total * size * (bold ? 1.13 : 1);
}

const printable = (text) => text.replace(/[\u0000-\u001f\u007f-\u00a0\u2028\u2029]/g, " ");
const escape = (text) => printable(String(text)).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const run = (text, size, bold) => ({ text, size, bold: !!bold });
const runWidth = (r) => textWidth(r.text, r.size, r.bold);

function fitted(line) {
  const over = line.reduce((sum, r) => sum + runWidth(r), 0) - WIDEST;
  const longest = line.reduce((a, b) => (runWidth(b) > runWidth(a) ? b : a));
  return line.map((r) => {
    let text = printable(r.text);
    if (over > 0 && r === longest) {
      const width = runWidth(r) - over;
      while (text && textWidth(text, r.size, r.bold) > width - r.size) text = text.slice(0, -1);
      text += "…";
    }
    return { ...r, text };
  });
}

function sizeText(n) {
  if (n < 1024) return `${n} B`;
  const power = Math.min(Math.floor(Math.log2(n) / 10), 5);
  const tenths = (n / 1024 ** power) * 10, even = tenths % 1 === 0.5 ? 2 * Math.round(tenths / 2) : Math.round(tenths); // as Python rounds
  return `${(even / 10).toFixed(1)} ${"KMGTP"[power - 1]}iB`;
}
const secondsText = (s) => (s >= 1 ? `${s.toFixed(1)} s` : s >= 1e-3 ? `${(s * 1e3).toFixed(1)} ms` : `${(s * 1e6).toFixed(1)} µs`);
function numberText(n) {
  if (n === null || !isFinite(n)) return "not finite";
  if (n === 0) return "0";
  return Math.abs(n) >= 1e-2 && Math.abs(n) < 1e5 ? String(Number(n.toPrecision(3))) : n.toExponential(1);
}
const savedText = (v) => [sizeText(v.nbytes), v.freed && v.kind === "op" ? "freed" : v.saved ? `keeps ${sizeText(v.saved)}` : ""].filter(Boolean).join(", ");
const sizeOf = (v) => `${v.shape} ${v.dtype}`;
const shownBy = (item) => (item.vertex ? (item.kind === "previous" ? [] : [item.vertex.index]) : verticesOf(item.group));
const groupTitle = (item) => [item.group.name, item.group.detail].filter(Boolean).join(": ") + (item.group.count > 1 ? ` ×${item.group.count}` : "") + (item.output ? ` → ${item.output}` : "");

function groupLine(item) {
  const count = verticesOf(item.group).length;
  return `${count} operation${count === 1 ? "" : "s"}`;
}

function localName(item) {
  const label = item.vertex.label;
  for (let frame = item.parent; frame; frame = frame.parent) {
    const path = frame.group.path;
    if (path && label.startsWith(`${path}.`)) return label.slice(path.length + 1);
  }
  return label;
}

function flagOf(item, look) {
  if (item.vertex && item.vertex.error) return "raised";
  for (const v of shownBy(item)) if (look.flags.has(v)) return look.flags.get(v);
  return "";
}

function vertexLines(item, look) {
  const v = item.vertex;
  if (item.kind === "previous") return [[run(`↻ ${v.label} of the step ${look.backward ? "after" : "before"}`, SMALL)], [run(sizeOf(v), SMALL)]];
  if (item.kind !== "op") {
    const name = localName(item) + (look.backward ? ".grad" : "");
    return [[run(name, item.kind === "leaf" ? TITLE : DETAIL, item.kind === "leaf")], [run(sizeOf(v), SMALL)]];
  }
  const name = v.name ? `${v.name} = ${v.label}` : v.label;
  const first = [run(`${item.carried ? "↻ " : ""}${name}`, TITLE, true), run(` ${v.shape}`, DETAIL)];
  if ((look.backward || look.numbered) && v.order) first.unshift(run(`${v.order}. `, TITLE));
  if (look.backward) return [first, ...item.rules.map((text) => [run(text, SMALL)])];
  if (v.error) return [[run(name, TITLE, true)], [run(v.error, SMALL)]];
  const lines = [first, [run([v.dtype, savedText(v)].filter(Boolean).join(", "), SMALL)]];
  return v.output ? [[run(v.output, SMALL, true)], ...lines] : lines;
}

function linesOf(item, look) {
  if (item.children) return [[run(groupTitle(item), DETAIL, true)]];
  const lines = item.vertex ? vertexLines(item, look) : [[run(groupTitle(item), TITLE, true)], [run(groupLine(item), SMALL)]];
  if (item.vertex && item.vertex.change) lines.unshift([run(item.vertex.change, SMALL, true)]);
  const flag = flagOf(item, look);
  if (flag) lines.unshift([run(`⚠ ${flag}`, SMALL, true)]);
  const number = look.heat ? look.heat.of(shownBy(item)) : null;
  if (number !== null) lines.push([run(look.heat.text(number), DETAIL, true)]);
  return lines;
}

function roomBetween(item, scene, down) { // how wide (or high, if not down) a box has to be, so that the names at its arrows' tips end before the next arrow's
  const values = [...item.inputs.keys()], lightInputs = new Set();
  for (const value of values) {
    const beside = value.includes("@") ? scene.items.get(value.slice(value.indexOf("@") + 1)) : undefined;
    if (beside && ["leaf", "constant", "previous"].includes(beside.kind) && beside.parent === item.parent) lightInputs.add(value);
  }
  const probe = { children: null, w: 1, inputs: values, outputs: [], lightInputs };
  defaultPorts(probe);
  const places = [...item.inputs].map(([value, names]) => [probe.inPorts.get(value), names.length ? textWidth(names.join(", "), 9) : 0]).sort((a, b) => a[0] - b[0]);
  let room = 0;
  for (let i = 0; i + 1 < places.length; i++) if (places[i][1]) room = Math.max(room, (down ? places[i][1] + 10 : 14) / (places[i + 1][0] - places[i][0]));
  return room;
}

function figureOf(scene, direction, look) {
  if (look.backward) direction = "up";
  if (look.heat) look.heat.scaleTo([...scene.items.values()].filter((i) => !i.children).map((i) => look.heat.of(shownBy(i))).filter((n) => n !== null));
  const placed = [], boxes = new Map(), stack = [scene.root];
  while (stack.length) {
    const item = stack.pop();
    let lines = linesOf(item, look);
    const box = { key: item.key, light: ["leaf", "constant", "previous"].includes(item.kind), free: !!item.vertex && COMMUTATIVE.has(item.vertex.op),
      inputs: [...item.inputs.keys()], outputs: [...item.outputs], lightInputs: new Set(), inPorts: new Map(), outPorts: new Map(),
      children: null, wires: [], titleWidth: 0, titleX: 10, titleY: 15, x: 0, y: 0, w: 0, h: 0 };
    boxes.set(item, box);
    if (!item.children) {
      lines = lines.map(fitted);
      const widest = Math.max(...lines.map((line) => line.reduce((sum, r) => sum + runWidth(r), 0)));
      const named = Math.max(0, ...[...item.inputs.values()].filter((n) => n.length).map((n) => textWidth(n.join(", "), 9)));
      const down = direction !== "right", high = lines.reduce((sum, line) => sum + Math.max(...line.map((r) => r.size)) * LINE, 0) + 8;
      const inputs = item.inputs.size;
      const room = named && down ? (named + 10) * Math.max(inputs + 1, 2 * inputs - 1.3) : 0, between = named ? roomBetween(item, scene, down) : 0;
      box.w = round1(Math.max(widest + 16, room, down ? between : 0, 44));
      box.h = round1(Math.max(high, named && !down ? 15 * (item.inputs.size + 1) : 0, down ? 0 : between));
    } else {
      box.children = [];
      box.titleWidth = item.parent ? runWidth(lines[0][0]) + 46 : 0; // room for its buttons
      stack.push(...[...item.children].reverse());
    }
    placed.push({ item, box, lines });
  }
  const wires = [];
  for (const { item, box } of placed) {
    if (!item.children) continue;
    box.children = item.children.map((child) => boxes.get(child));
    for (const net of item.nets.values()) {
      const targets = [...net.targets];
      const wire = { value: net.value, source: net.source ? boxes.get(net.source) : null, targets: targets.map((t) => (t ? boxes.get(t) : null)), paths: [] };
      box.wires.push(wire);
      wires.push([net, wire, targets]);
    }
  }
  arrange(boxes.get(scene.root), direction);
  return { placed, wires, width: boxes.get(scene.root).w, height: boxes.get(scene.root).h, direction, scene, look };
}

const n1 = (x) => String(round1(x));

function pathData(path, down) {
  let [x, y] = path[0], d = `M${n1(x)} ${n1(y)}`;
  for (const [x2, y2] of path.slice(1)) {
    if (down ? x2 === x : y2 === y) d += `L${n1(x2)} ${n1(y2)}`;
    else if (down) { const m = n1((y + y2) / 2); d += `C${n1(x)} ${m} ${n1(x2)} ${m} ${n1(x2)} ${n1(y2)}`; }
    else { const m = n1((x + x2) / 2); d += `C${m} ${n1(y)} ${m} ${n1(y2)} ${n1(x2)} ${n1(y2)}`; }
    [x, y] = [x2, y2];
  }
  return d;
}

function description(item, graph) {
  const v = item.vertex;
  if (!v) return `${groupTitle(item)}, ${groupLine(item)}, closed; press Enter to open`;
  const parts = [item.kind === "op" ? v.label : item.kind === "previous" ? `${v.label} of the step before` : `${v.kind} ${v.label}`];
  const given = graph.sourcesOf(v.index);
  if (item.kind === "op" && given.length) parts.push(`of ${given.map((s) => graph.nameOf(s)).join(", ")}`);
  parts.push(sizeOf(v));
  if (item.kind === "op") parts.push(savedText(v));
  parts.push(v.kind === "constant" ? "no gradient" : "requires grad");
  if (v.output) parts.push(`output: ${v.output}`);
  if (v.error) parts.push(v.error);
  return parts.join(", ");
}

function svgOf(figure, graph) {
  const { look } = figure, down = figure.direction !== "right", out = [], M = 12;
  const frames = figure.placed.filter((e) => e.item.children && e.item.parent);
  for (const { item, box } of frames)
    out.push(`<g class="frame" data-key="${escape(item.key)}"><rect x="${n1(box.x)}" y="${n1(box.y)}" width="${n1(box.w)}" height="${n1(box.h)}" rx="8"/></g>`);
  const labels = [];
  for (const [net, wire, targets] of figure.wires) {
    const light = net.source && net.source.kind !== "op" && net.source.kind !== "group" ? " l" : "";
    targets.forEach((target, i) => {
      const path = wire.paths[i];
      const inBad = (it) => (it.vertex ? look.path.has(it.vertex.index) : verticesOf(it.group).some((v) => look.path.has(v)));
      const bad = look.path.size && look.path.has(net.vertex.index) && (!target || inBad(target)) ? " b" : "";
      const ends = `data-from="${net.vertex.index}" data-to="${target ? escape(target.key) : ""}"`;
      out.push(`<path class="w${light}${bad}" ${ends} d="${pathData(path, down)}"><title>${escape(`${net.vertex.name || net.vertex.label}, ${sizeOf(net.vertex)}`)}</title></path>`);
      if (look.backward ? i === 0 && net.source && !net.source.children : target && !target.children) {
        const [x, y] = look.backward ? path[0] : path[path.length - 1];
        out.push(`<path class="a${bad}" ${ends} d="M${n1(x)} ${n1(y)}${down ? "l-3.4-6.5h6.8z" : "l-6.5-3.4v6.8z"}"/>`);
      }
      const names = target && !target.children ? target.inputs.get(net.value) : null;
      if (names && names.length) {
        const [x, y] = path[path.length - 1];
        labels.push(down ? `<text class="arg" x="${n1(x + 5)}" y="${n1(y + (look.backward ? 11 : -4))}">${escape(names.join(", "))}</text>`
          : `<text class="arg" x="${n1(x - 4)}" y="${n1(y - 5)}" text-anchor="end">${escape(names.join(", "))}</text>`);
      }
    });
  }
  for (const { item, box, lines } of frames) {
    const x = box.titleX, y = box.titleY, width = runWidth(lines[0][0]), key = escape(item.key);
    out.push(`<text class="m h" x="${n1(x)}" y="${n1(y)}" font-size="${DETAIL}" font-weight="600">${escape(lines[0][0].text)}</text>`);
    out.push(`<g class="b" role="button" tabindex="-1" data-close="${key}" aria-label="close ${escape(lines[0][0].text)}"><title>close</title><rect x="${n1(x + width + 6)}" y="${n1(y - 10)}" width="15" height="13" rx="3"/><text x="${n1(x + width + 13.5)}" y="${n1(y)}">−</text></g>`);
    if (item.group.kind === "repeat") {
      const one = figure.scene.plates.has(item.group.key);
      out.push(`<g class="b" role="button" tabindex="-1" data-plate="${key}" aria-label="${one ? `show all ${item.group.count}` : "show one for all"}"><title>${one ? `show all ${item.group.count}` : "show one for all"}</title><rect x="${n1(x + width + 24)}" y="${n1(y - 10)}" width="22" height="13" rx="3"/><text x="${n1(x + width + 35)}" y="${n1(y)}">${one ? "all" : "one"}</text></g>`);
    }
  }
  out.push(...labels);
  for (const entry of figure.placed) if (!entry.item.children) out.push(nodeSvg(entry, look, graph));
  const width = figure.width + 2 * M, height = figure.height + 2 * M;
  return { width, height, inner: `<g transform="translate(${M} ${M})">${out.join("")}</g>` };
}

function nodeSvg({ item, box, lines }, look, graph) {
  const v = item.vertex, key = escape(item.key), radius = item.kind === "op" || item.kind === "group" ? 5 : box.h / 2;
  let kind = item.kind + ((v && v.output && item.kind === "op") || (!v && item.output) ? " out" : "") + (item.ghost ? " ghost" : ""), style = "", paint = "", label = description(item, graph);
  if (v && v.change) kind += ` change-${v.change[0] === "+" ? "added" : v.change[0] === "−" ? "removed" : "changed"}`;
  if (flagOf(item, look)) { kind += " bad"; label += `, ${flagOf(item, look)}`; }
  else if (look.heat) {
    const number = look.heat.of(shownBy(item));
    if (number !== null) {
      const [fill, ink] = colourOf(look.heat.place(number));
      kind += " heat"; style = ` style="fill:${ink}"`; paint = ` style="fill:${fill}"`; label += `, ${look.heat.title}: ${look.heat.text(number)}`;
    }
  }
  const rect = (dx) => `<rect x="${n1(box.x + dx)}" y="${n1(box.y + dx)}" width="${n1(box.w)}" height="${n1(box.h)}" rx="${n1(radius)}"${paint}/>`;
  const texts = [];
  let y = box.y + (box.h - lines.reduce((sum, line) => sum + Math.max(...line.map((r) => r.size)) * LINE, 0)) / 2;
  for (const line of lines) {
    const size = Math.max(...line.map((r) => r.size));
    y += size * LINE;
    const first = line[0];
    const spans = line.map((r) => (r.size !== size || r.bold !== first.bold
      ? `<tspan class="${r.bold ? "t" : "m"}" font-weight="${r.bold ? 600 : 400}" font-size="${r.size}">${escape(r.text)}</tspan>` : escape(r.text))).join("");
    const kindOf = first.text.startsWith("⚠") ? ' class="f" font-weight="600"' : first.bold ? ' font-weight="600"' : ' class="m"';
    texts.push(`<text x="${n1(box.x + box.w / 2)}" y="${n1(y - size * 0.34)}" font-size="${size}"${kindOf}>${spans}</text>`);
  }
  const extra = item.group && item.group.count > 1 ? rect(3) : "";
  const data = v ? ` data-v="${v.index}"` : "";
  return `<g class="n ${kind}"${style} role="button" tabindex="-1" data-key="${key}"${data} aria-label="${escape(label)}"><title>${escape(label)}</title>${extra}${rect(0)}${texts.join("")}</g>`;
}

// --- heat: heat.py ---------------------------------------------------------------------------------------------------------------

const rms = (summary) => (summary ? (summary[5] || summary[6] ? Infinity : summary[3]) : null);
const sum = (values) => values.reduce((a, b) => a + b, 0);
const most = (values) => Math.max(...values);
const HEATS = {
  memory: ["bytes of the result", (v) => v.nbytes || null, sum, (n) => sizeText(Math.floor(n))],
  saved: ["bytes kept for the backward pass", (v) => v.saved || null, sum, (n) => sizeText(Math.floor(n))],
  time: ["time of the forward computation", (v) => v.seconds, sum, secondsText],
  "backward time": ["time of the backward step", (v) => v.backwardSeconds, sum, secondsText],
  gradient: ["size of the gradient (root mean square)", (v) => rms(v.gradient), most, numberText],
  value: ["size of the values (root mean square)", (v) => rms(v.value), most, numberText],
  update: ["gradient over value of a parameter (root mean squares)",
    (v) => (v.kind === "leaf" && v.value && v.gradient && rms(v.value) > 0 && rms(v.value) < Infinity ? rms(v.gradient) / rms(v.value) : null), most, numberText],
};

class Heat {
  constructor(name, graph) {
    [this.title, this.get, this.join, this.text] = HEATS[name];
    this.values = new Map();
    for (const v of graph.vertices) { const n = this.get(v); if (n !== null && n !== undefined) this.values.set(v.index, n); }
    this.low = this.high = 0;
  }
  of(vertices) {
    const values = vertices.filter((v) => this.values.has(v)).map((v) => this.values.get(v));
    return values.length ? this.join(values) : null;
  }
  scaleTo(numbers) {
    const finite = numbers.filter((n) => isFinite(n) && n > 0);
    this.low = finite.length ? Math.min(...finite) : 0;
    this.high = finite.length ? Math.max(...finite) : 0;
  }
  get logarithmic() { return this.low > 0 && this.high / this.low > 50; }
  place(n) {
    if (!isFinite(n) || this.high <= this.low) return 1;
    if (n <= this.low) return 0;
    return this.logarithmic ? Math.log(n / this.low) / Math.log(this.high / this.low) : (n - this.low) / (this.high - this.low);
  }
  marks() {
    const middle = this.logarithmic ? Math.sqrt(this.low * this.high) : (this.low + this.high) / 2;
    return [this.low, middle, this.high].map(this.text);
  }
}

const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
function colourOf(place) {
  const at = Math.max(0, Math.min(place, 1)) * 4, i = Math.min(Math.floor(at), 3);
  const rgb = VIRIDIS[i].map((a, k) => Math.round(a + (VIRIDIS[i + 1][k] - a) * (at - i)));
  const linear = rgb.map((c) => (c <= 10 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  const light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  return [`rgb(${rgb.join(",")})`, light < 0.18 ? "#ffffff" : "#000000"];
}
