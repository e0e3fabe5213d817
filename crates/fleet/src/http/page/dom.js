// What the page is built with. Whatever comes from outside is set as text, never as markup.

const SVG = "http:" + "//www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

// An element with these attributes and children; text is text.
export function make(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function draw(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(key, String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Sets a text only where it is another: what has not changed keeps its selection, and no reader says it again.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const known = new WeakMap();

// Makes the children of `parent` those of `items`, in this order. What stays is left in place, with focus and open details;
// `fill` is called only for what has changed.
export function reconcile(parent, items, create, fill) {
  const before = known.get(parent) || new Map();
  const after = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    let kept = before.get(item.key);
    if (kept) before.delete(item.key);
    else kept = { element: create(item), told: null };
    if (kept.element === place) place = place.nextSibling;
    else parent.insertBefore(kept.element, place);
    const told = JSON.stringify(item);
    if (kept.told !== told) {
      fill(kept.element, item);
      kept.told = told;
    }
    after.set(item.key, kept);
  }
  for (const gone of before.values()) gone.element.remove();
  known.set(parent, after);
}

// A cell is a text, or { text, kind, title, parts }. `parts` are texts, { code }, { link, text } and { more, items },
// of which each item is a list of parts.
export function fillRow(tr, item) {
  const heads = [...tr.closest("table").tHead.rows[0].cells];
  const cells = item.cells.map((cell, index) => {
    const wide = cell !== null && typeof cell === "object" ? cell : { text: cell };
    const td = make("td", { role: "cell", class: wide.kind, title: wide.title, "data-head": heads[index] ? heads[index].textContent : null });
    if (wide.parts) td.append(make("div", {}, ...wide.parts.map(part)));
    else td.textContent = wide.text === null || wide.text === undefined ? "" : String(wide.text);
    return td;
  });
  tr.replaceChildren(...cells);
}

export function part(piece) {
  if (typeof piece === "string") return piece;
  if (piece.code) return make("code", {}, piece.code);
  if (piece.link) return link(piece);
  return make("details", {}, make("summary", {}, piece.more), make("ul", {}, ...piece.items.map((item) => make("li", {}, ...item.map(part)))));
}

// Nothing but an address of the web becomes a link; whatever else it is stays text.
function link(piece) {
  if (!/^https?:[/][/]/.test(piece.link)) return piece.text;
  return make("a", { href: piece.link, rel: "noopener noreferrer" }, piece.text);
}

// The rows of a table; one that says why there are none where there are none.
export function rows(table, items, nothing) {
  const body = table.tBodies[0];
  const shown = items.length > 0 ? items : [{ key: "", nothing }];
  reconcile(body, shown, () => make("tr", { role: "row" }), (tr, item) => {
    if (item.nothing === undefined) return fillRow(tr, item);
    tr.replaceChildren(make("td", { role: "cell", class: "none", colspan: table.tHead.rows[0].cells.length }, item.nothing));
  });
}
