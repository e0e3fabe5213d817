// Runners and workers.

import { byId, make, rows, say } from "./dom.js";
import { brief, isKnown, knowledge, usd } from "./words.js";

// Rows that are drawn at once; the rest on demand.
const ROWS = 250;

export function showRunners(state) {
  const are = state.ec2.state !== "unknown";
  const items = state.runners.map((r) => {
    const mine = state.workers.filter((w) => w.runner === r.name);
    const priced = mine.every((w) => isKnown(w.usd_per_hour));
    const cost = priced ? usd(mine.reduce((sum, w) => sum + w.usd_per_hour, 0)) : "?";
    const queue = knowledge(r.queue);
    const held = r.held_back ? r.held_back.text : null;
    const notes = [r.paused ? "paused" : null, held, knowledge(r.facts), knowledge(r.launch_plan), r.forecast].filter((note) => note);
    return {
      key: r.name,
      cells: [
        { text: r.name, kind: "name", title: r.name },
        { text: isKnown(r.waiting) ? r.waiting : "?", kind: "n" },
        { text: are ? r.running : "?", kind: "n" },
        { text: (are ? r.idle_ready : "?") + ", " + r.idle_wanted, kind: "n" },
        { text: (are ? r.workers : "?") + " of " + r.max_workers, kind: "n" },
        { text: are ? cost : "?", kind: "n" },
        { text: queue || "known", kind: queue ? "bad" : "" },
        { text: notes.join("; "), kind: held ? "bad" : "" },
      ],
    };
  });
  rows(byId("runners"), items, "No runner is configured.");
}

// What a worker's row shows, and what it is sorted by.
const COLUMNS = [
  { head: "Worker", show: (w) => w.id, by: (w) => w.id },
  { head: "Runner", show: (w) => ({ text: w.runner, kind: "name", title: w.runner }), by: (w) => w.runner },
  { head: "State", show: (w) => ({ text: w.hold ? w.state + ", held" : w.state, kind: w.state }), by: (w) => w.state },
  { head: "Jobs", kind: "n", show: (w) => ({ text: w.job_ids.length > 0 ? w.job_ids.map((job) => "#" + job).join(" ") : w.jobs > 0 ? w.jobs : "", kind: "n" }), by: (w) => w.jobs },
  { head: "Age", kind: "n", show: (w) => ({ text: brief(w.age_seconds), kind: "n" }), by: (w) => w.age_seconds },
  { head: "Idle", kind: "n", show: (w) => ({ text: brief(w.idle_seconds), kind: "n" }), by: (w) => isKnown(w.idle_seconds) ? w.idle_seconds : -1 },
  { head: "Type", show: (w) => w.instance_type, by: (w) => w.instance_type },
  { head: "Zone", show: (w) => w.zone, by: (w) => w.zone },
  { head: "Market", show: (w) => w.market, by: (w) => w.market },
  { head: "$/h", kind: "n", show: (w) => ({ text: usd(w.usd_per_hour), kind: "n", title: isKnown(w.usd_estimated) ? usd(w.usd_estimated) + " so far" : "" }), by: (w) => isKnown(w.usd_per_hour) ? w.usd_per_hour : -1 },
  { head: "Step, note", show: (w) => ({ text: noted(w), kind: w.ecr_error ? "bad" : "" }), by: noted },
];
const STATES = ["booting", "idle", "busy", "draining", "terminating", "unreachable"];

// What the reader has chosen.
const chosen = { words: "", state: "", column: null, falls: false, all: false };

function noted(w) {
  const ecr = w.ecr_error;
  return [w.reason ? w.reason.text : null, ecr ? "ECR login failed: " + ecr.text : null].filter((part) => part).join("; ");
}

export function prepareWorkers(again) {
  const heads = byId("workers").tHead.rows[0];
  COLUMNS.forEach((column, index) => {
    const button = make("button", { type: "button" }, column.head);
    const th = make("th", { role: "columnheader", scope: "col", class: column.kind }, button);
    button.addEventListener("click", () => {
      chosen.falls = chosen.column === index ? !chosen.falls : column.kind === "n";
      chosen.column = index;
      [...heads.cells].forEach((other) => other.removeAttribute("aria-sort"));
      th.setAttribute("aria-sort", chosen.falls ? "descending" : "ascending");
      again();
    });
    heads.append(th);
  });
  byId("worker-state").append(...STATES.map((state) => make("option", { value: state }, state)));
  byId("worker-words").addEventListener("input", (event) => { chosen.words = event.target.value.trim().toLowerCase(); again(); });
  byId("worker-state").addEventListener("change", (event) => { chosen.state = event.target.value; again(); });
  byId("workers-more").addEventListener("click", () => { chosen.all = !chosen.all; again(); });
}

export function showWorkers(state) {
  const words = chosen.words.split(/\s+/).filter((word) => word);
  const said = (w) => [w.id, w.runner, w.state, w.instance_type, w.zone, w.market, noted(w), ...w.job_ids.map((job) => "#" + job)].join(" ").toLowerCase();
  const found = state.workers.filter((w) => (!chosen.state || w.state === chosen.state) && words.every((word) => said(w).includes(word)));
  if (chosen.column !== null) {
    const { by } = COLUMNS[chosen.column];
    const order = (one, two) => typeof one === "number" ? one - two : one.localeCompare(two);
    found.sort((one, two) => (chosen.falls ? -1 : 1) * order(by(one), by(two)) || one.id.localeCompare(two.id));
  }
  const shown = chosen.all ? found : found.slice(0, ROWS);
  const items = shown.map((w) => ({ key: w.id, cells: COLUMNS.map((column) => column.show(w)) }));
  rows(byId("workers"), items, state.workers.length > 0 ? "No worker is like that." : none(state));
  say(byId("workers-note"), found.length === state.workers.length ? "" : found.length + " of " + state.workers.length + " workers");
  const more = byId("workers-more");
  more.hidden = found.length <= ROWS;
  say(more, chosen.all ? "Show " + ROWS : "Show all " + found.length);
}

// Why the list of workers is empty: the runners' own reasons come before the friendly sentence.
function none(state) {
  if (state.ec2.state === "unknown") return "The workers are not known: " + state.ec2.text;
  const reasons = state.runners.filter((r) => r.held_back).map((r) => r.name + ": " + r.held_back.text);
  if (reasons.length > 0) return "No worker. " + reasons.join("; ");
  const wanted = state.runners.some((r) => r.idle_wanted > 0);
  if (!state.waiting.complete) return "No worker; whether one is needed is not known, because a queue cannot be read.";
  if (state.waiting.total > 0) return "No worker; " + state.waiting.total + " jobs wait, each with its reason above.";
  return wanted ? "No worker yet." : "No worker, because nothing needs one.";
}
