// Asks the service for its state, its past and its events, each in its own time, and shows them.

import { byId, make, say } from "./dom.js";
import { eventsAddress, offerRunners, prepareEvents, showBadQuestion, showEvents } from "./events.js";
import { prepareWorkers, showRunners, showWorkers } from "./fleet.js";
import { showPlots } from "./plots.js";
import { showTiles } from "./tiles.js";
import { showSilence, showVerdict } from "./verdict.js";
import { showWaiting } from "./waiting.js";
import { brief, when } from "./words.js";

const STATE_EVERY_MS = 2000;
const PAST_EVERY_MS = 30000;
// Of a simulation, in which half a minute may be hours.
const SIMULATED_EVERY_MS = 2000;
const EVENTS_EVERY_MS = 5000;
// A hidden page needs nothing but its title.
const HIDDEN_FACTOR = 5;
// How long the reader has to stop typing.
const TYPING_MS = 250;
const RANGES = [["1h", "60"], ["6h", "60"], ["24h", "300"], ["7d", "1800"]];

let state = null, about = null, range = RANGES[1], lastHour = null, day = null, wait = null;

async function ask(address) {
  const answer = await fetch(address, { cache: "no-store" });
  if (answer.ok) return answer.json();
  const error = new Error(answer.status === 400 ? (await answer.text()).trim() : "it answers " + answer.status);
  error.isBadQuestion = answer.status === 400;
  throw error;
}

// Does it now, and again and again; the next time comes after this one is over.
function again(every, work) {
  const once = async () => {
    await work();
    const pause = about !== null && about.simulated ? Math.min(every, SIMULATED_EVERY_MS) : every;
    setTimeout(once, document.hidden ? pause * HIDDEN_FACTOR : pause);
  };
  once();
}

async function lookAtNow() {
  try {
    if (about === null) about = await ask("/api/v1/about");
    state = await ask("/api/v1/state");
    showState();
  } catch (error) {
    about = null;
    showSilence(error.message, state && state.at);
  }
}

function showState() {
  if (state === null || about === null) return;
  say(byId("name"), about.manager);
  say(byId("about"), "runner-fleet " + about.program + ", up " + brief((Date.parse(state.at) - Date.parse(about.started_at)) / 1000) + ", as of " + when(state.at));
  byId("simulated").hidden = !about.simulated;
  showVerdict(state, about.manager);
  showTiles(state, lastHour, day);
  showWaiting(state);
  showRunners(state);
  showWorkers(state);
  offerRunners(state);
}

async function lookBack() {
  try {
    const [from, step] = range;
    const history = await ask("/api/v1/history?" + new URLSearchParams({ from, step }));
    lastHour = from === "1h" ? history : await ask("/api/v1/history?from=1h&step=60");
    day = await ask("/api/v1/history?from=24h&step=3600");
    const promises = state === null ? [] : state.runners.map((r) => r.promise && r.promise.target_wait_seconds).filter((limit) => limit > 0);
    showPlots(history, [...new Set(promises)]);
  } catch (error) {
    say(byId("past-note"), "The past cannot be read: " + error.message);
  }
}

async function lookAtEvents() {
  try {
    showEvents(await ask(eventsAddress()));
  } catch (error) {
    if (error.isBadQuestion) showBadQuestion(error.message);
    else say(byId("events-note"), "Events cannot be read: " + error.message);
  }
}

function prepare() {
  byId("ranges").append(...RANGES.map((one) => {
    const input = make("input", { type: "radio", name: "range", value: one[0] });
    input.checked = one === range;
    input.addEventListener("change", () => { range = one; lookBack(); });
    return make("label", {}, input, one[0]);
  }));
  prepareWorkers(() => { if (state !== null) showWorkers(state); });
  prepareEvents(() => { clearTimeout(wait); wait = setTimeout(lookAtEvents, TYPING_MS); });
}

prepare();
await lookAtNow();
setTimeout(() => again(STATE_EVERY_MS, lookAtNow), STATE_EVERY_MS);
again(PAST_EVERY_MS, async () => { await lookBack(); showState(); });
again(EVENTS_EVERY_MS, lookAtEvents);
