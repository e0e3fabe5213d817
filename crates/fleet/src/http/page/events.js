// What has happened, with a filter; asked for apart from the state.

import { byId, make, rows, say } from "./dom.js";
import { when } from "./words.js";

const KINDS = ["launching", "launched", "launch_short", "launch_full", "adopted", "ready", "boot_failed", "breaker_open", "breaker_closed", "job_started", "job_found", "job_ended", "fenced", "serving", "hard_stop", "terminating", "terminate_failed", "ended", "interrupted", "rebalance", "unfit", "job_quarantined", "job_retry", "operator", "another_manager", "law_broken",
  "trouble_began", "trouble_worse", "trouble_over"];
const LIMIT = 50;
const FIELDS = { runner: "event-runner", worker: "event-worker", job: "event-job", kind: "event-kind" };

let pages = 1;

export function prepareEvents(again) {
  byId("event-kind").append(...KINDS.map((kind) => make("option", { value: kind }, kind.replaceAll("_", " "))));
  for (const id of Object.values(FIELDS)) {
    byId(id).addEventListener(byId(id).tagName === "SELECT" ? "change" : "input", () => { pages = 1; again(); });
  }
  byId("events-more").addEventListener("click", () => { pages += 1; again(); });
}

export function offerRunners(state) {
  const select = byId("event-runner");
  const names = state.runners.map((r) => r.name);
  const offered = [...select.options].slice(1).map((option) => option.value);
  if (JSON.stringify(names) === JSON.stringify(offered)) return;
  const before = select.value;
  select.replaceChildren(make("option", { value: "" }, "all"), ...names.map((name) => make("option", { value: name }, name)));
  select.value = names.includes(before) ? before : "";
}

// The address of what the reader has chosen.
export function eventsAddress() {
  const question = new URLSearchParams({ limit: String(Math.min(LIMIT * pages, 1000)) });
  for (const [key, id] of Object.entries(FIELDS)) {
    const value = byId(id).value.trim().replace(/^#/, "");
    if (value) question.set(key, value);
  }
  return "/api/v1/events?" + question;
}

export function showEvents(answer) {
  const items = answer.events.slice().reverse().map((e) => ({
    key: String(e.id),
    cells: [when(e.at), { text: e.event.replaceAll("_", " "), kind: e.level === "warning" ? "bad" : "" }, e.text],
  }));
  const since = answer.since ? " What is remembered begins at " + when(answer.since) + "." : "";
  rows(byId("events"), items, "Nothing of that kind is remembered." + since);
  say(byId("events-note"), answer.not_kept ? "The next start will not know this: " + answer.not_kept : "");
  byId("events-more").hidden = answer.events.length < Math.min(LIMIT * pages, 1000) || LIMIT * pages >= 1000;
}

// The question was refused: the reader is typing still, most likely.
export function showBadQuestion(why) {
  rows(byId("events"), [], why);
  byId("events-more").hidden = true;
}
