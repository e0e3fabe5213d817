// Three plots of the past, drawn as SVG. A gap is time of which nothing is known.

import { byId, draw, make, reconcile } from "./dom.js";
import { brief, dayOf, hourOf, isKnown, round, usd, when } from "./words.js";

const BOX = { width: 420, height: 190, left: 46, right: 8, top: 10, bottom: 22 };
// Rows of the table that says the same in words.
const SAID = 12;

const seconds = (value) => isKnown(value) ? brief(value) : "?";
const PLOTS = [
  { id: "slots", title: "Job slots", tell: round, lines: [["slots_paid", "paid", "paid"], ["slots_at_work", "at work", "busy"], ["jobs_waiting", "jobs waiting", "booting"]] },
  { id: "waits", title: "How long jobs waited", tell: seconds, lines: [["wait_p50_seconds", "half at most", "busy"], ["wait_p95_seconds", "95 % at most", "booting"]], promise: true },
  { id: "cost", title: "Dollars an hour", tell: usd, lines: [["usd_per_hour_spot", "spot", "busy"], ["usd_per_hour_on_demand", "on demand", "draining"], ["usd_per_hour_idle", "of it idle", "idle"]] },
];

// `promises`: the target waits of the runners, in seconds.
export function showPlots(history, promises) {
  const plots = PLOTS.map((plot) => ({ key: plot.id, from: history.from, to: history.to, step: history.step_seconds, rows: history.rows, limits: plot.promise ? promises : [], plot }));
  reconcile(byId("plots"), plots, () => make("figure"), fill);
  const note = [];
  if (history.rows.length === 0) note.push("Nothing is known of this time.");
  if (history.since && Date.parse(history.since) > Date.parse(history.from)) note.push("The past begins at " + when(history.since) + ".");
  if (history.not_kept) note.push("The next start will not know it: " + history.not_kept);
  byId("past-note").textContent = note.join(" ");
}

function fill(figure, { from, to, step, rows, limits, plot }) {
  const values = plot.lines.flatMap(([name]) => rows.map((row) => row[name])).filter(isKnown);
  const most = nice(Math.max(...values, ...limits, 0), plot.id === "waits");
  const start = Date.parse(from), end = Date.parse(to);
  const x = (time) => BOX.left + (time - start) / (end - start) * (BOX.width - BOX.left - BOX.right);
  const y = (value) => BOX.height - BOX.bottom - value / most * (BOX.height - BOX.top - BOX.bottom);
  const said = plot.title + ", " + plot.lines.map(([name, label]) => label + " now " + plot.tell(last(rows, name))).join(", ") + ", from " + when(from) + " to " + when(to);
  const svg = draw("svg", { viewBox: "0 0 " + BOX.width + " " + BOX.height, role: "img", "aria-label": said, class: "plot" });
  svg.append(...scale(most, y, plot.tell), ...times(start, end, x));
  for (const limit of limits) {
    svg.append(draw("line", { class: "promise", x1: BOX.left, x2: BOX.width - BOX.right, y1: y(limit), y2: y(limit) }));
    svg.append(draw("text", { class: "promise", x: BOX.width - BOX.right, y: y(limit) - 3, "text-anchor": "end" }, "promised " + brief(limit)));
  }
  for (const [name, , kind] of plot.lines) {
    svg.append(draw("path", { class: "line " + kind, d: path(rows, name, step * 1000, x, y) }));
  }
  const legend = make("ul", { class: "legend" }, ...plot.lines.map(([name, label, kind]) => make("li", {}, swatch(kind), label + " ", make("b", {}, plot.tell(last(rows, name))))));
  if (values.length === 0) svg.append(draw("text", { x: BOX.width / 2, y: BOX.height / 2, "text-anchor": "middle", class: "none" }, rows.length === 0 ? "not known" : plot.id === "waits" ? "no job began" : "not known"));
  const wasOpen = figure.querySelector("details")?.open;
  const table = numbers(plot, rows);
  if (wasOpen) table.open = true;
  figure.replaceChildren(make("figcaption", {}, make("h3", {}, plot.title), legend), svg, table);
}

function swatch(kind) {
  return draw("svg", { class: "swatch", viewBox: "0 0 14 8", "aria-hidden": "true", focusable: "false" }, draw("path", { class: "line " + kind, d: "M0 4H14" }));
}

function last(rows, name) {
  const known = rows.filter((row) => isKnown(row[name]));
  return known.length === 0 ? null : known[known.length - 1][name];
}

// A line through what is known; a lone point is a short dash.
function path(rows, name, step, x, y) {
  let d = "", before = null;
  for (const row of rows) {
    if (!isKnown(row[name])) { before = null; continue; }
    const time = Date.parse(row.at) + step / 2;
    const joined = before !== null && time - before < 1.5 * step;
    const place = x(time).toFixed(1) + " " + y(row[name]).toFixed(1);
    d += joined ? "L" + place : "M" + place + "h1";
    before = time;
  }
  return d;
}

// The end of the scale: the next 1, 2, 5 × 10ⁿ; of times the next one that people say.
function nice(most, isTime) {
  if (isTime) return [10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400].find((limit) => limit >= most * 1.05) || most;
  if (most <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((step) => step * power).find((limit) => limit >= most * 1.02) || 10 * power;
}

function scale(most, y, tell) {
  return [0, 0.5, 1].flatMap((share) => [
    draw("line", { class: "grid", x1: BOX.left, x2: BOX.width - BOX.right, y1: y(most * share), y2: y(most * share) }),
    draw("text", { x: BOX.left - 5, y: y(most * share) + 4, "text-anchor": "end" }, share === 0 ? "0" : tell(most * share)),
  ]);
}

function times(start, end, x) {
  const days = end - start > 36 * 3600e3;
  return [0, 1, 2, 3, 4].map((part) => {
    const time = start + (end - start) * part / 4;
    const anchor = part === 0 ? "start" : part === 4 ? "end" : "middle";
    return draw("text", { x: x(time), y: BOX.height - 6, "text-anchor": anchor }, days ? dayOf(time) : hourOf(time));
  });
}

// The same in words, for those who do not see a line.
function numbers(plot, rows) {
  const every = Math.max(1, Math.ceil(rows.length / SAID));
  const chosen = rows.filter((_, index) => (rows.length - 1 - index) % every === 0);
  const head = make("tr", {}, make("th", { scope: "col" }, "From"), ...plot.lines.map(([, label]) => make("th", { scope: "col", class: "n" }, label)));
  const body = chosen.map((row) => make("tr", {}, make("td", {}, when(row.at)), ...plot.lines.map(([name]) => make("td", { class: "n" }, plot.tell(row[name])))));
  const table = make("table", {}, make("caption", { class: "unseen" }, plot.title), make("thead", {}, head), make("tbody", {}, ...body));
  return make("details", {}, make("summary", {}, "In numbers"), make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": plot.title + " in numbers" }, table));
}
