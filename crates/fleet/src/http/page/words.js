// Numbers and times as people say them. Unknown is "?", never zero.

export const isKnown = (value) => value !== null && value !== undefined;

export function brief(seconds) {
  if (!isKnown(seconds)) return "";
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " min" + (s < 600 && s % 60 ? " " + (s % 60) + " s" : "");
  if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor(s / 60) % 60 + " min";
  return Math.floor(s / 86400) + " d " + Math.floor(s / 3600) % 24 + " h";
}

export function count(number, one, many) {
  return isKnown(number) ? number + " " + (number === 1 ? one : many) : "? " + many;
}

export function usd(value) {
  if (!isKnown(value)) return "?";
  return "$" + value.toFixed(value !== 0 && Math.abs(value) < 0.1 ? 3 : 2);
}

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });

export function round(value) {
  return !isKnown(value) ? "?" : Math.abs(value) >= 100 || Number.isInteger(value) ? whole.format(value) : value.toFixed(1);
}

const full = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" });
const hour = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });

// A point in time with its zone, whatever zone the reader lives in.
export const when = (time) => full.format(new Date(time));
export const hourOf = (ms) => hour.format(new Date(ms));
export const dayOf = (ms) => day.format(new Date(ms));

// A sentence whose commands stand between backticks, in pieces.
export function pieces(sentence) {
  return String(sentence || "").split("`").map((text, index) => index % 2 === 1 ? { code: text } : text).filter((piece) => piece !== "");
}

export function knowledge(what) {
  if (what.state === "known") return null;
  if (what.state === "stale") return "seen " + brief(what.age_seconds) + " ago: " + what.text;
  return "unknown: " + what.text;
}
