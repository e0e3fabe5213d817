// Is anything wrong, since when, and what is to be done: on top of all.

import { byId, make, part, reconcile, say } from "./dom.js";
import { brief, count, isKnown, pieces, when } from "./words.js";

const MARKS = { ok: "✓", warning: "▲", critical: "✖" };

export function showVerdict(state, manager) {
  const verdict = state.verdict || { severity: "ok", troubles: [] };
  const troubles = verdict.troubles;
  byId("verdict").className = verdict.severity;
  const title = troubles.length === 0 ? "All is well" : count(troubles.length, "trouble", "troubles") + (troubles.length > 1 && verdict.severity === "critical" ? ", the worst first" : "");
  say(byId("verdict-title"), MARKS[verdict.severity] + " " + title);
  reconcile(byId("troubles"), troubles.map((trouble, index) => item(trouble, index, state.at)), () => make("li"), fill);
  // Read aloud only when something else is wrong, not every time that it has lasted longer.
  const said = troubles.length === 0 ? "All is well." : troubles.map((t) => t.severity + ": " + (t.runner ? t.runner + ": " : "") + t.reason.kind.replaceAll("-", " ")).join("; ");
  if (byId("said").dataset.said !== said) {
    byId("said").dataset.said = said;
    say(byId("said"), troubles.length === 0 ? "All is well." : troubles.map((t) => (t.runner ? t.runner + ": " : "") + t.reason.text).join("; "));
  }
  document.title = titleOf(state, verdict, manager);
}

function item(trouble, index, at) {
  const lasts = (Date.parse(at) - Date.parse(trouble.since)) / 1000;
  return {
    key: (trouble.runner || "") + " " + trouble.reason.kind + " " + index,
    severity: trouble.severity,
    runner: trouble.runner,
    text: trouble.reason.text,
    since: "for " + brief(lasts) + ", since " + when(trouble.since),
    waiting: isKnown(trouble.jobs_waiting) && trouble.jobs_waiting > 0 ? count(trouble.jobs_waiting, "job waits", "jobs wait") : null,
    advice: trouble.advice,
  };
}

function fill(li, trouble) {
  li.className = trouble.severity;
  const facts = [trouble.waiting, trouble.since].filter(isKnown).join(", ");
  li.replaceChildren(
    make("p", {}, make("strong", {}, MARKS[trouble.severity] + " " + (trouble.severity === "critical" ? "Critical" : "Warning") + (trouble.runner ? ", " + trouble.runner : "") + ": "), trouble.text, make("span", { class: "soft" }, " (" + facts + ")")),
    make("p", { class: "advice" }, "What to do: ", ...pieces(trouble.advice).map(part)),
  );
}

function titleOf(state, verdict, manager) {
  const mark = verdict.severity === "critical" ? "(!) " : verdict.severity === "warning" ? "(▲) " : "";
  const waiting = state.waiting.complete ? String(state.waiting.total) : "?";
  return mark + waiting + " waiting – " + (manager || "runner-fleet");
}

// Nobody answers: what is shown is old.
export function showSilence(why, since) {
  byId("verdict").className = "critical";
  say(byId("verdict-title"), MARKS.critical + " No answer from the service");
  const text = why + (since ? "; what is shown below is of " + when(since) : "");
  reconcile(byId("troubles"), [{ key: "silence", text }], () => make("li", { class: "critical" }), (li, silence) => li.replaceChildren(make("p", {}, silence.text)));
  if (byId("said").dataset.said !== "silence") {
    byId("said").dataset.said = "silence";
    say(byId("said"), "No answer from the service.");
  }
  document.title = "(!) no answer – runner-fleet";
}
