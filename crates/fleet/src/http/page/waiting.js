// Waiting jobs by reason: a thousand jobs wait for a handful of reasons.

import { byId, rows } from "./dom.js";
import { brief } from "./words.js";

// Reasons that name each job's own worker, and are one reason all the same.
const SHARED = {
  "booting": (one) => "the first " + one,
  "free-slot": () => "workers with free slots take them at their next requests",
  "in-flight": (one) => one,
};
// Names that are shown at once, and in all.
const NAMED = 2;
// Characters of a name that is shown at once; GitLab allows 255.
const NAME_MAX = 50;
const LISTED = 200;

export function showWaiting(state) {
  const groups = grouped(state.jobs);
  const hidden = state.waiting.total - state.jobs.length;
  const items = groups.map((group) => ({
    key: group.key,
    cells: [
      { text: group.jobs.length, kind: "n" },
      { text: brief(group.longest), kind: "n" },
      group.runner || { text: "none of ours", kind: "bad short" },
      group.why,
      { kind: "names", parts: names(group.jobs) },
    ],
  }));
  if (hidden > 0 && items.length > 0) {
    const why = state.waiting.complete ? "more jobs wait, behind these in the queue" : "more jobs waited when the queue was read last";
    items.push({ key: "more", cells: [{ text: hidden, kind: "n" }, "", "", why, ""] });
  }
  const before = state.waiting.total > 0 ? " When it was read last, " + state.waiting.total + " waited." : "";
  rows(byId("waiting"), items, state.waiting.complete ? "No job waits." : "Whether jobs wait is not known: a queue cannot be read." + before);
}

function grouped(jobs) {
  const groups = new Map();
  for (const j of jobs) {
    const kind = j.reason.kind;
    const key = JSON.stringify([j.runner, kind, SHARED[kind] ? "" : j.reason.text]);
    const group = groups.get(key);
    if (!group) {
      groups.set(key, { key, runner: j.runner, why: j.reason.text, longest: j.waited_seconds, jobs: [j] });
      continue;
    }
    if (group.jobs.length === 1 && SHARED[kind]) group.why = SHARED[kind](group.why);
    group.jobs.push(j);
    group.longest = Math.max(group.longest, j.waited_seconds);
  }
  return [...groups.values()];
}

// By name.
function names(jobs) {
  const pieces = jobs.slice(0, NAMED).flatMap((j, index) => [...(index > 0 ? [", "] : []), ...named(j, NAME_MAX)]);
  if (jobs.length <= NAMED && jobs.every((j) => j.name.length <= NAME_MAX)) return pieces;
  const listed = jobs.slice(0, LISTED).map((j) => named(j, Infinity));
  if (jobs.length > LISTED) listed.push([(jobs.length - LISTED) + " more"]);
  return [...pieces, { more: "all " + jobs.length, items: listed }];
}

// In pieces: job and project are links where GitLab shows them.
function named(j, most) {
  const long = [...(j.name || "job")];
  const name = (long.length > most ? long.slice(0, most - 1).join("") + "…" : long.join("")) + " #" + j.id;
  if (!j.url) return [name + " of " + (j.project_path || "project " + j.project)];
  return [{ link: j.url, text: name }, " of ", { link: j.url.split("/-/jobs/")[0], text: j.project_path }];
}
