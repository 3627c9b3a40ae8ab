"use strict";
// The charts of a report: point at one for its numbers, drag to zoom, double-click for all.

const MARGIN = { left: 52, right: 8, top: 8, bottom: 34 };
const SHORTEST_DRAG = 5;  // pixels; a shorter one is a click
const PIXELS_PER_DOT = 4;  // nearer to each other, estimates are a line only
const GREY = "--grey", DARK = matchMedia("(prefers-color-scheme: dark)");

/** The colour of a name in the style sheet, which knows light and dark. */
const ink = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Numbers that Python packed as base64 of little-endian float32. */
function unpack(text) {
  return new Float32Array(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer);
}

/** Place of the first of the rising numbers that is not below `value`. */
function firstFrom(numbers, value) {
  let low = 0, high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] < value) low = middle + 1; else high = middle;
  }
  return low;
}

/** Round numbers, about `count` of them, inside a range. */
function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find(k => k * power >= raw);
  const first = Math.ceil(low / step), last = Math.floor(high / step);
  return Array.from({ length: last - first + 1 }, (_, k) => +((first + k) * step).toPrecision(12));
}

/** Charts that show the same range of x. */
class Group {
  constructor() { this.charts = []; this.range = null; this.pointed = null; }

  zoom(range) {
    this.range = range;
    this.draw();
  }

  point(place) {
    this.pointed = place;
    this.draw();
  }

  draw() { for (const chart of this.charts) chart.redraw(); }
}

/** One pair of axes. `layers` draw themselves from bottom to top; `tell` describes a row. */
class Chart {
  constructor(canvas, group, { x, layers, xLabel, yLabel, tell, fromZero = false, near = null }) {
    Object.assign(this, { canvas, group, x, layers, xLabel, yLabel, tell, fromZero, near });
    this.picture = document.createElement("canvas");
    this.dragged = this.waiting = this.shown = null;
    group.charts.push(this);
    canvas.addEventListener("pointerdown", event => this.press(event));
    canvas.addEventListener("pointermove", event => this.move(event));
    canvas.addEventListener("pointerup", event => this.release(event));
    canvas.addEventListener("pointercancel", () => this.leave());
    canvas.addEventListener("pointerleave", () => this.leave());
    canvas.addEventListener("dblclick", () => group.zoom(null));
    new ResizeObserver(() => this.redraw()).observe(canvas);
    DARK.addEventListener("change", () => this.redraw());
  }

  redraw() {
    this.waiting ??= requestAnimationFrame(() => { this.waiting = null; this.draw(); });
  }

  /** Draw anew what changed: the picture of the axes and layers is kept while only the pointer moves. */
  draw() {
    const { canvas, group } = this, ratio = window.devicePixelRatio || 1;
    const shown = JSON.stringify([group.range, canvas.clientWidth, canvas.clientHeight, ratio,
                                  DARK.matches]);
    if (shown !== this.shown) this.drawPicture(ratio);
    this.shown = shown;
    const pen = canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(this.picture, 0, 0);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.drawPointed(pen);
  }

  drawPicture(ratio) {
    this.measure();
    const { canvas, picture, box } = this;
    picture.width = canvas.width = Math.round(canvas.clientWidth * ratio);
    picture.height = canvas.height = Math.round(canvas.clientHeight * ratio);
    const pen = picture.getContext("2d");
    pen.scale(ratio, ratio);
    this.drawAxes(pen);
    pen.beginPath();
    pen.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
    pen.clip();
    for (const layer of this.layers) DRAW[layer.kind](pen, this, layer);
  }

  whole() {
    const first = this.x[0], last = this.x[this.x.length - 1];
    const edge = Math.max((last - first) * 0.01, 1e-6) + this.halfBar();
    return [first - edge, last + edge];
  }

  halfBar() {
    return this.layers.some(layer => layer.kind === "bars") ? (this.x[1] - this.x[0]) / 2 : 0;
  }

  /** Range of y that shows the curves, not the band of an unsure outlier. */
  yRange(first, last) {
    let low = this.fromZero ? 0 : Infinity, high = this.fromZero ? 0 : -Infinity;
    for (const { y } of this.layers) {
      for (let k = first; y && k < last; k++) {
        if (y[k] < low) low = y[k];
        if (y[k] > high) high = y[k];
      }
    }
    if (!(low <= high)) [low, high] = [-1, 1];
    const edge = Math.max(0.08 * (high - low), this.fromZero ? 0 : 0.05, 1e-3);
    return [this.fromZero ? 0 : low - edge, high + edge];
  }

  /** Measure: what is seen, and how numbers become pixels. */
  measure() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const [from, to] = this.group.range ?? this.whole();
    const first = Math.max(0, firstFrom(this.x, from) - 1);
    const last = Math.min(this.x.length, firstFrom(this.x, to) + 1);
    const [low, high] = this.yRange(first, last);
    const box = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top,
                  bottom: height - MARGIN.bottom };
    const perX = (box.right - box.left) / (to - from), perY = (box.bottom - box.top) / (high - low);
    Object.assign(this, {
      box, from, to, low, high, first, last,
      toX: x => box.left + (x - from) * perX,
      toY: y => box.bottom - (y - low) * perY,
      fromX: pixel => from + (pixel - box.left) / perX,
    });
    Object.assign(this.canvas.dataset, { from, to });
  }

  drawAxes(pen) {
    const { box } = this;
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = ink("--faint");
    pen.lineWidth = 1;
    pen.textAlign = "center";
    for (const x of ticks(this.from, this.to, Math.max(2, (box.right - box.left) / 60))) {
      line(pen, this.toX(x), box.top, this.toX(x), box.bottom, "--grid");
      pen.fillText(x, this.toX(x), box.bottom + 14);
    }
    pen.fillText(this.xLabel, (box.left + box.right) / 2, box.bottom + 29);
    pen.textAlign = "right";
    for (const y of ticks(this.low, this.high, 4)) {
      line(pen, box.left, this.toY(y), box.right, this.toY(y), y === 0 ? "--axis" : "--grid");
      pen.fillText(y, box.left - 5, this.toY(y) + 4);
    }
    pen.save();
    pen.translate(11, (box.top + box.bottom) / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillText(this.yLabel, 0, 0);
    pen.restore();
  }

  drawPointed(pen) {
    const { box, dragged } = this, place = this.group.pointed;
    if (dragged) {
      pen.fillStyle = ink("--text") + "22";
      pen.fillRect(dragged.from, box.top, dragged.to - dragged.from, box.bottom - box.top);
      return;
    }
    if (place === null || place < this.first || place >= this.last) return;
    const x = this.toX(this.x[place]);
    if (!this.near) line(pen, x, box.top, x, box.bottom, GREY);
    for (const { y, colour, kind } of this.layers) {
      const at = y && kind !== "bars" ? this.toY(y[place]) : NaN;
      if (at >= box.top && at <= box.bottom) disc(pen, x, at, 3.5, colour);
    }
  }

  press(event) {
    const x = event.offsetX;
    this.dragged = { from: x, to: x };
    this.canvas.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (this.dragged) {
      this.dragged.to = Math.min(Math.max(event.offsetX, this.box.left), this.box.right);
      hideTip();
      this.group.draw();
      return;
    }
    const place = this.placeAt(event.offsetX, event.offsetY);
    this.group.point(place);
    if (place === null) hideTip(); else showTip(this.tell(place), event);
  }

  release() {
    const { dragged } = this;
    this.dragged = null;
    if (!dragged || Math.abs(dragged.to - dragged.from) < SHORTEST_DRAG) return;
    const [from, to] = [dragged.from, dragged.to].map(this.fromX).sort((a, b) => a - b);
    this.group.zoom([from, to]);
  }

  leave() {
    this.dragged = null;
    this.group.point(null);
    hideTip();
  }

  /** Row that is pointed at: the nearest in x, or, where points are strewn about, in the plane. */
  placeAt(pixelX, pixelY) {
    if (!this.x.length || pixelX < this.box.left || pixelX > this.box.right) return null;
    if (this.near) return this.nearest(pixelX, pixelY);
    const x = this.fromX(pixelX);
    const after = Math.min(firstFrom(this.x, x), this.x.length - 1), before = Math.max(after - 1, 0);
    return x - this.x[before] < this.x[after] - x ? before : after;
  }

  nearest(pixelX, pixelY) {
    let best = null, least = this.near ** 2;
    for (let k = this.first; k < this.last; k++) {
      const dx = this.toX(this.x[k]) - pixelX, dy = this.toY(this.layers[0].y[k]) - pixelY;
      if (dx * dx + dy * dy < least) { least = dx * dx + dy * dy; best = k; }
    }
    return best;
  }
}

function line(pen, x0, y0, x1, y1, colour) {
  pen.strokeStyle = ink(colour);
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
}

function disc(pen, x, y, radius, colour) {
  pen.fillStyle = ink(colour);
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fill();
}

/** Visible rows without a hole as [x, top, bottom] in pixels; in crowded columns one for each. */
function* runs(chart, low, high = low) {
  const crowded = chart.last - chart.first > 2 * (chart.box.right - chart.box.left);
  let run = [], point = null;
  for (let k = chart.first; k < chart.last; k++) {
    if (Number.isNaN(low[k])) {
      if (run.length) yield run;
      [run, point] = [[], null];
      continue;
    }
    const x = chart.toX(chart.x[k]), top = chart.toY(high[k]), bottom = chart.toY(low[k]);
    if (crowded && point && Math.floor(x) === Math.floor(point[0])) {
      point[1] = Math.min(point[1], top);
      point[2] = Math.max(point[2], bottom);
    } else {
      run.push(point = [x, top, bottom]);
    }
  }
  if (run.length) yield run;
}

const DRAW = {
  line(pen, chart, { y, colour, width = 1.4 }) {
    pen.strokeStyle = ink(colour);
    pen.lineWidth = width;
    pen.beginPath();
    for (const run of runs(chart, y)) {
      pen.moveTo(run[0][0] - 0.7, run[0][1]);  // a row that stands alone is a dot
      for (const [x, top, bottom] of run) {
        pen.lineTo(x, top);
        if (bottom !== top) pen.lineTo(x, bottom);
      }
    }
    pen.stroke();
    pen.lineWidth = 1;
  },
  dots(pen, chart, { y, colour, always }) {
    const pixels = chart.box.right - chart.box.left;
    if (!always && (chart.last - chart.first) * PIXELS_PER_DOT > pixels) return;
    pen.fillStyle = ink(colour) + (always ? "99" : "");
    for (let k = chart.first; k < chart.last; k++) {
      // Squares: a recording may have thousands.
      pen.fillRect(chart.toX(chart.x[k]) - 1.8, chart.toY(y[k]) - 1.8, 3.6, 3.6);
    }
  },
  band(pen, chart, { low, high, colour }) {
    pen.fillStyle = pen.strokeStyle = ink(colour) + "33";
    pen.beginPath();
    for (const run of runs(chart, low, high)) {
      if (run.length === 1) {
        pen.rect(run[0][0] - 0.5, run[0][1], 1, run[0][2] - run[0][1]);
        continue;
      }
      pen.moveTo(run[0][0], run[0][1]);
      for (const [x, top] of run) pen.lineTo(x, top);
      for (const [x, , bottom] of run.reverse()) pen.lineTo(x, bottom);
      pen.closePath();
    }
    pen.fill();
  },
  crosses(pen, chart, { marks, colour }) {
    pen.strokeStyle = ink(colour);
    pen.beginPath();
    for (let k = chart.first; k < chart.last; k++) {
      if (Number.isNaN(marks[k])) continue;
      const x = chart.toX(chart.x[k]), y = chart.toY(marks[k]);
      pen.moveTo(x - 2.5, y - 2.5);
      pen.lineTo(x + 2.5, y + 2.5);
      pen.moveTo(x - 2.5, y + 2.5);
      pen.lineTo(x + 2.5, y - 2.5);
    }
    pen.stroke();
  },
  bars(pen, chart, { y, colour }) {
    const half = chart.halfBar();
    pen.fillStyle = ink(colour);
    for (let k = chart.first; k < chart.last; k++) {
      const left = chart.toX(chart.x[k] - half), right = chart.toX(chart.x[k] + half);
      pen.fillRect(left + 0.5, chart.toY(y[k]), right - left - 1, chart.box.bottom - chart.toY(y[k]));
    }
  },
};

const tip = document.getElementById("tip");

function showTip(text, event) {
  tip.textContent = text;
  tip.hidden = false;
  const left = event.clientX + 14, width = tip.offsetWidth;
  tip.style.left = `${left + width > innerWidth ? event.clientX - width - 14 : left}px`;
  tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight)}px`;
}

function hideTip() { tip.hidden = true; }

const signed = x => (Number.isNaN(x) ? "unknown" : `${x < 0 ? "−" : "+"}${Math.abs(x).toFixed(3)}`);

/** What a person is told of one row of one velocity. */
function told(rows, { name, unit, estimate, truth, sigma, single }, k) {
  const spread = sigma && !Number.isNaN(sigma[k]) ? ` ± ${sigma[k].toFixed(3)}` : "";
  const error = estimate[k] - truth[k];
  return [
    rows.frames ? rows.frames[k] : null,
    `t ${(rows.start + rows.t[k]).toFixed(3)} s`,
    `${name} ${signed(estimate[k])}${spread} ${unit}${rows.valid[k] ? "" : ", not valid"}`,
    single ? `image alone ${signed(single[k])}` : null,
    `ground truth ${signed(truth[k])}, error ${signed(error)}`,
  ].filter(Boolean).join("\n");
}

function timeChart(canvas, group, rows, velocity, colours) {
  const { estimate, truth, sigma, single } = velocity;
  const where = valid => estimate.map((y, k) => (rows.valid[k] > 0 === valid ? y : NaN));
  const shown = where(true), layers = [];
  if (sigma) {
    const [low, high] = [-2, 2].map(s => shown.map((y, k) => y + s * sigma[k]));
    layers.push({ kind: "band", low, high, colour: colours.estimate });
  }
  if (single) layers.push({ kind: "line", y: single, colour: colours.single, width: 1 });
  layers.push(
    { kind: "line", y: truth, colour: colours.truth, width: 1.8 },
    { kind: "line", y: shown, colour: colours.estimate },
    { kind: "dots", y: shown, colour: colours.estimate },
    { kind: "crosses", marks: where(false), colour: GREY },
  );
  return new Chart(canvas, group, {
    x: rows.t, layers, xLabel: rows.start ? `time − ${rows.start} [s]` : "time [s]",
    yLabel: `${velocity.name} [${velocity.unit}]`, tell: k => told(rows, velocity, k),
  });
}

function histogram(canvas, { name, unit, centres, counts }, colours) {
  const x = unpack(centres), y = Float32Array.from(counts), half = (x[1] - x[0]) / 2;
  return new Chart(canvas, new Group(), {
    x, layers: [{ kind: "bars", y, colour: colours.estimate }], fromZero: true,
    xLabel: `error of ${name} [${unit}]`, yLabel: "frames",
    tell: k => `${signed(x[k] - half)} to ${signed(x[k] + half)} ${unit}\n${y[k]} frames`,
  });
}

function scatter(canvas, { name, unit, label, xUnit, x: packed, size, frames }, colours) {
  const x = unpack(packed), y = unpack(size);
  return new Chart(canvas, new Group(), {
    x, layers: [{ kind: "dots", y, colour: colours.estimate, always: true }], fromZero: true,
    near: 25, xLabel: `${label} [${xUnit}]`, yLabel: `|error ${name}| [${unit}]`,
    tell: k => [frames?.[k], `${label} ${x[k].toFixed(2)} ${xUnit}`,
                `|error ${name}| ${y[k].toFixed(3)} ${unit}`].filter(Boolean).join("\n"),
  });
}

/** Estimate minus truth, which should keep to its band. */
function residualChart(canvas, group, rows, velocity, colours) {
  const { estimate, truth, sigma } = velocity;
  const error = estimate.map((y, k) => (rows.valid[k] > 0 ? y - truth[k] : NaN));
  const layers = [];
  if (sigma) {
    const low = sigma.map((s, k) => (rows.valid[k] > 0 ? -2 * s : NaN)), high = low.map(y => -y);
    layers.push({ kind: "band", low, high, colour: colours.estimate });
  }
  layers.push({ kind: "line", y: error, colour: colours.estimate },
              { kind: "dots", y: error, colour: colours.estimate });
  return new Chart(canvas, group, {
    x: rows.t, layers, xLabel: rows.start ? `time − ${rows.start} [s]` : "time [s]",
    yLabel: `residual ${velocity.name} [${velocity.unit}]`, tell: k => told(rows, velocity, k),
  });
}

/** Whether as many errors lie within an interval as sigma promises. */
function consistencyChart(canvas, { shares, curves }, colours) {
  const x = unpack(shares), paints = [colours.estimate, colours.truth];
  const layers = [{ kind: "line", y: x, colour: GREY, width: 1 }];
  const known = curves.map(({ name, within }) => ({ name, y: unpack(within) }));
  known.forEach(({ y }, k) => layers.push({ kind: "line", y, colour: paints[k], width: 2 }));
  return new Chart(canvas, new Group(), {
    x, layers, fromZero: true, xLabel: "share predicted by sigma",
    yLabel: `share found: ${known.map(({ name }) => name).join(", ")}`,
    tell: k => [`within the interval of ${(100 * x[k]).toFixed(0)} %`,
                ...known.map(({ name, y }) => `${name}: ${(100 * y[k]).toFixed(0)} %`)].join("\n"),
  });
}

/** Row of the table, or picture, of a bad frame: shows its moment in the charts above. */
function followLinks(time) {
  for (const link of document.querySelectorAll("a[data-t]")) {
    link.addEventListener("click", () => {
      const t = Number(link.dataset.t);
      time.zoom([t - 0.5, t + 0.5]);
    });
  }
  for (const picture of document.querySelectorAll("figure img")) {
    picture.addEventListener("click", () => picture.parentElement.classList.toggle("large"));
  }
}

function main() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const colours = { estimate: "--estimate", truth: "--truth", single: "--single" };
  const rows = { ...data.rows, t: unpack(data.rows.t), valid: unpack(data.rows.valid) };
  const canvasOf = name => document.querySelector(`canvas[data-chart="${name}"]`);
  const time = new Group();
  for (const packed of data.velocities) {
    const velocity = { ...packed };
    for (const key of ["estimate", "truth", "sigma", "single"]) {
      velocity[key] = packed[key] === null ? null : unpack(packed[key]);
    }
    timeChart(canvasOf(velocity.name), time, rows, velocity, colours);
    const residual = canvasOf(`residual ${velocity.name}`);
    if (residual) residualChart(residual, time, rows, velocity, colours);
  }
  for (const one of data.histograms) histogram(canvasOf(`error ${one.name}`), one, colours);
  for (const one of data.scatter) scatter(canvasOf(`against ${one.id}`), one, colours);
  if (data.consistency) consistencyChart(canvasOf("consistency"), data.consistency, colours);
  document.getElementById("whole").addEventListener("click", () => time.zoom(null));
  followLinks(time);
}

main();
