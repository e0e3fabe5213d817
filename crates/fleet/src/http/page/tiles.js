// The numbers of now, with the trend of the last hour.

import { byId, draw, make, reconcile } from "./dom.js";
import { brief, dayOf, isKnown, round, usd } from "./words.js";

const TREND = { width: 100, height: 20 };

export function showTiles(state, lastHour, day) {
  const sum = (read) => state.runners.reduce((total, r) => isKnown(total) && isKnown(read(r)) ? total + read(r) : null, 0);
  const of = (...states) => state.workers.filter((w) => states.includes(w.state)).length;
  const are = state.ec2.state !== "unknown";
  const workers = (number) => are ? number : null;
  const waiting = state.waiting.complete ? state.waiting.total : null;
  const old = !state.waiting.complete && state.waiting.total > 0 ? "last seen: " + state.waiting.total : null;
  const promise = promised(state);
  const gone = workers(of("unreachable"));
  const trend = (name) => lastHour ? lastHour.rows.map((row) => row[name]) : [];
  const total = (name) => day ? day.rows.reduce((all, row) => all + (row[name] || 0), 0) : null;
  const tiles = [
    { name: "jobs waiting", value: round(waiting), note: old || (waiting > 0 ? "longest " + brief(state.waiting.longest_seconds) : null), kind: waiting > 0 ? "booting" : "", trend: trend("jobs_waiting") },
    { name: "jobs running", value: round(workers(sum((r) => r.running))), note: null, kind: "busy", trend: trend("slots_at_work") },
    { name: "free slots", value: round(workers(sum((r) => r.idle_ready))), note: "wanted " + sum((r) => r.idle_wanted), kind: "idle", trend: trend("slots_idle") },
    { name: "workers", value: round(workers(state.workers.length)), note: of("booting") > 0 ? of("booting") + " booting" : of("draining", "terminating") > 0 ? of("draining", "terminating") + " leaving" : null, kind: of("booting") > 0 ? "booting" : "", trend: trend("slots_paid") },
    { name: "unreachable", value: round(gone), note: null, kind: gone > 0 ? "bad" : "", trend: [] },
    { name: "cost an hour", ...cost(state.costs), kind: "", trend: lastHour ? lastHour.rows.map(hourly) : [] },
    spent("today (UTC)", state.ledger.today_total, null),
    spent("this month", state.ledger.month_total, begun(state)),
    { name: "failed boots, 24 h", value: round(total("boots_failed")), note: isKnown(total("interruptions")) ? total("interruptions") + " interruptions" : null, kind: total("boots_failed") > 0 ? "bad" : "", trend: [] },
    promise,
  ];
  reconcile(byId("tiles"), tiles.filter(isKnown).map((tile) => ({ key: tile.name, ...tile })), () => make("div"), fill);
}

// Both markets; unknown where one is.
export function hourly(row) {
  const parts = [row.usd_per_hour_spot, row.usd_per_hour_on_demand];
  return parts.every(isKnown) ? parts[0] + parts[1] : null;
}

function cost(costs) {
  if (costs.unpriced_workers === 0) return { value: usd(costs.usd_per_hour), note: "instances, estimated" };
  if (isKnown(costs.usd_per_hour_at_most)) return { value: "≤ " + usd(costs.usd_per_hour_at_most), note: costs.unpriced_workers + " of unknown price" };
  return { value: "?", note: costs.unpriced_workers + " of unknown price" };
}

// What the ledger knows of a day or month; what time of unknown price costs at most is said beside it.
function spent(name, sum, begun) {
  const tile = { name, kind: "", trend: [] };
  if (!isKnown(sum)) return { ...tile, value: "?", note: "not known yet" };
  const share = sum.below_on_demand;
  const beside = isKnown(share) ? Math.round(100 * Math.abs(share)) + " % " + (share < 0 ? "above" : "below") + " on demand" : null;
  const doubt = !isKnown(sum.usd_at_most) ? "and what is not known" : sum.usd_at_most > sum.usd ? "at most " + usd(sum.usd_at_most) : null;
  return { ...tile, value: usd(sum.usd), note: [beside, doubt, begun].filter(isKnown).join(", ") || null };
}

// Since when the ledger is whole, where that is not the whole month.
function begun(state) {
  const since = state.ledger.since;
  const isWhole = !isKnown(since) || Date.parse(since) <= Date.parse(state.at.slice(0, 7) + "-01T00:00:00Z");
  return isWhole ? null : "since " + dayOf(Date.parse(since));
}

// The share of jobs that waited no longer than was promised, where anything is promised.
function promised(state) {
  const promises = state.runners.map((r) => r.promise).filter((promise) => promise && promise.jobs > 0);
  if (promises.length === 0) return null;
  const jobs = promises.reduce((sum, promise) => sum + promise.jobs, 0);
  const kept = promises.reduce((sum, promise) => sum + promise.kept, 0);
  const share = 100 * kept / jobs;
  const limits = [...new Set(promises.map((promise) => promise.target_wait_seconds))];
  return { name: "promise kept", value: (share === 100 ? "100" : share.toFixed(1)) + " %", note: (limits.length === 1 ? "within " + brief(limits[0]) + ", " : "") + "7 d", kind: share < 95 ? "bad" : "", trend: [] };
}

function fill(div, tile) {
  div.className = tile.kind;
  div.replaceChildren(...[make("dt", {}, tile.name), make("dd", {}, make("b", {}, tile.value), tile.note ? make("span", { class: "soft" }, tile.note) : null, spark(tile.trend))]);
}

// A line without axes: whether it rises or falls.
function spark(values) {
  const known = values.filter(isKnown);
  if (known.length < 2) return null;
  const most = Math.max(...known, 1e-9);
  const x = (index) => (index / (values.length - 1) * TREND.width).toFixed(1);
  const y = (value) => (TREND.height - 1 - value / most * (TREND.height - 2)).toFixed(1);
  let path = "", pen = false;
  values.forEach((value, index) => {
    if (isKnown(value)) path += (pen ? "L" : "M") + x(index) + " " + y(value);
    pen = isKnown(value);
  });
  return draw("svg", { class: "spark", viewBox: "0 0 " + TREND.width + " " + TREND.height, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" }, draw("path", { d: path }));
}
