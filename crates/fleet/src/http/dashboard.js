// Polls /api/v1/state and shows it. Whatever comes from outside is set as text, never as markup.
"use strict";

const EVERY_MS = 2000;
const ROWS_MAX = 500;

function brief(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const s = Math.floor(seconds);
  if (s < 60) return s + "s";
  if (s < 3600) return Math.floor(s / 60) + "m " + (s % 60) + "s";
  if (s < 86400) return Math.floor(s / 3600) + "h " + Math.floor(s / 60) % 60 + "m";
  return Math.floor(s / 86400) + "d " + Math.floor(s / 3600) % 24 + "h";
}

function cell(value) {
  const td = document.createElement("td");
  const wide = value !== null && typeof value === "object" ? value : { text: value };
  td.textContent = wide.text === null || wide.text === undefined ? "" : String(wide.text);
  if (wide.kind) td.className = wide.kind;
  if (wide.title) td.title = wide.title;
  return td;
}

function fill(id, rows, nothing) {
  const body = document.getElementById(id);
  const shown = rows.slice(0, ROWS_MAX).map((cells) => {
    const tr = document.createElement("tr");
    tr.append(...cells.map(cell));
    return tr;
  });
  const more = rows.length - shown.length;
  const last = rows.length === 0 ? nothing : more > 0 ? "and " + more + " more" : null;
  if (last) {
    const tr = document.createElement("tr");
    tr.append(cell({ text: last, kind: "none" }));
    tr.firstChild.colSpan = 10;
    shown.push(tr);
  }
  body.replaceChildren(...shown);
}

function number(text) { return { text: text, kind: "n" }; }

function knowledge(known) {
  if (known.state === "known") return { text: "known" };
  if (known.state === "stale") return { text: "seen " + brief(known.age_seconds) + " ago: " + known.text, kind: "bad" };
  return { text: "unknown: " + known.text, kind: "bad" };
}

function note(w) {
  const ecr = w.ecr_error;
  const at = ecr && ecr.at ? " at " + new Date(ecr.at).toLocaleTimeString() : "";
  return [w.reason ? w.reason.text : null, ecr ? "ECR login failed" + at + ": " + ecr.text : null].filter((part) => part).join("; ");
}

// Why the list of workers is empty: the runners' own reasons come before the friendly sentence.
function noWorkers(state) {
  if (state.ec2.state === "unknown") return "The workers are not known: " + state.ec2.text;
  const reasons = state.runners.filter((r) => r.held_back).map((r) => r.name + ": " + r.held_back.text);
  if (reasons.length > 0) return "No worker. " + reasons.join("; ");
  const wanted = state.runners.some((r) => r.idle_wanted > 0);
  if (!state.waiting.complete) return "No worker; whether one is needed is not known, because a queue cannot be read.";
  if (state.waiting.total > 0) return "No worker; " + state.waiting.total + " jobs wait, each with its reason below.";
  return wanted ? "No worker yet." : "No worker, because nothing needs one.";
}

function show(state) {
  const of = (wanted) => state.workers.filter((worker) => worker.state === wanted).length;
  const longest = state.jobs.reduce((most, j) => Math.max(most, j.waited_seconds), 0);
  const put = (id, value) => { document.getElementById(id).textContent = String(value); };
  put("n-workers", state.workers.length);
  put("n-busy", of("busy"));
  put("n-idle", of("idle"));
  put("n-booting", of("booting"));
  // Unknown is not zero.
  const old = state.waiting.complete ? "" : state.waiting.total > 0 ? " (old)" : null;
  put("n-waiting", old === null ? "?" : state.waiting.total + old);
  put("n-longest", brief(longest));

  const now = document.getElementById("now");
  const ec2 = knowledge(state.ec2);
  now.textContent = "As of " + new Date(state.at).toLocaleString() + (ec2.kind ? ". EC2: " + ec2.text : "");
  now.className = ec2.kind || "";

  fill("runners", state.runners.map((r) => [
    r.paused ? r.name + " (paused)" : r.name, knowledge(r.queue), number(r.running), number(r.waiting === null ? "?" : r.waiting),
    number(r.idle_ready + " of " + r.idle_wanted), number(r.workers + " of " + r.max_workers),
    { text: r.held_back ? r.held_back.text : "", kind: r.held_back ? "bad" : "" },
  ]), "No runner is configured.");
  fill("workers", state.workers.map((w) => [
    w.id, w.runner, { text: w.hold ? w.state + " (held)" : w.state, kind: w.state }, number(w.jobs),
    number(brief(w.age_seconds)), number(brief(w.idle_seconds)), w.instance_type, w.zone, w.market,
    { text: note(w), kind: w.ecr_error ? "bad" : "" },
  ]), noWorkers(state));
  fill("jobs", state.jobs.map((j) => [
    number(j.id), number(j.project), { text: j.name, kind: "name", title: j.name }, number(brief(j.waited_seconds)), j.runner, j.reason.text,
  ]), state.waiting.complete ? "No job waits." : "Whether jobs wait is not known: a queue cannot be read.");
  fill("decisions", state.decisions.slice().reverse().map((d) => [
    new Date(d.at).toLocaleTimeString(), d.text,
  ]), "Nothing was decided yet.");
}

async function look() {
  try {
    const answer = await fetch("/api/v1/state", { cache: "no-store" });
    if (!answer.ok) throw new Error("the service answers " + answer.status);
    show(await answer.json());
  } catch (error) {
    const now = document.getElementById("now");
    now.textContent = "No answer from the service (" + error.message + "); what is shown may be old.";
    now.className = "bad";
  }
  setTimeout(look, EVERY_MS);
}

look();
