// Keys, buttons, and the start.
"use strict";

const REASONS = ["too faint", "not this defect", "wrong place", "wrong size", "looks painted", "wrong label"];
const KEYS = [
  ["J or \u2193, K or \u2191", "next, previous sample"],
  ["A, X", "accept, reject"],
  ["1 to 6", `reject because: ${REASONS.join(", ")}`],
  ["R", "write a reason; Enter rejects with it, on an accepted sample too"],
  ["N", "take the decision back: the verdict counts"],
  ["U", "undo the last decision or label"],
  ["B", "before and after; the slider shows both"],
  ["M", "outline on and off"],
  ["Z", "the surroundings of the defect, or the whole picture"],
  ["E", "mend the label: D draw, E erase, [ ] size, arrows and space without a mouse, Enter saves, Esc leaves"],
  ["F, O, /", "filter, order, find"],
  ["Home, End, Page up, Page down", "move in the list"],
];

function decideCurrent(change) {
  const row = currentRow();
  if (!row || state.readOnly) {
    return;
  }
  decide(row, change);
  if (byId("advance").checked && change.decision !== "undecided") {
    goTo(state.at + 1);
  }
}

const typedReason = () => byId("reason").value.trim();
const accept = () => decideCurrent({ decision: "accept", reason: typedReason() });
const reject = (reason = typedReason()) => decideCurrent({ decision: "reject", reason });
const undecide = () => decideCurrent({ decision: "undecided", reason: "", mended: false });
const page = () => Math.max(1, Math.floor(byId("list").clientHeight / ROW) - 1);

const actions = {
  j: () => goTo(state.at + 1), ArrowDown: () => goTo(state.at + 1),
  k: () => goTo(state.at - 1), ArrowUp: () => goTo(state.at - 1),
  Home: () => goTo(0), End: () => goTo(state.order.length - 1),
  PageDown: () => goTo(state.at + page()), PageUp: () => goTo(state.at - page()),
  a: accept, x: () => reject(), n: undecide, u: undo,
  r: () => byId("reason").focus(),
  b: toggleBefore, m: toggleOutline, z: toggleZoom, e: startMending,
  f: () => byId("show").focus(), o: () => byId("order").focus(), "/": () => byId("find").focus(),
  "?": () => byId("help").showModal(),
};
REASONS.forEach((reason, number) => {
  actions[String(number + 1)] = () => reject(reason);
});

// Whether the focused control takes this key itself.
function isTaken(event) {
  const element = event.target;
  if (element.matches("input:not([type]), input[type=search]")) {
    return true;
  }
  const isMoving = event.key.startsWith("Arrow") || event.key.startsWith("Page") ||
    event.key === "Home" || event.key === "End";
  return element.matches("select") || (element.matches("input[type=range]") && isMoving);
}

document.addEventListener("keydown", (event) => {
  if (byId("help").open) {
    return;
  }
  if (event.target === byId("reason") && (event.key === "Enter" || event.key === "Escape")) {
    event.preventDefault();
    byId("stage").focus();
    if (event.key === "Enter") {
      reject();
    } else {
      byId("reason").value = (currentRow() || {}).reason || "";
    }
    return;
  }
  if (event.key === "Escape" && event.target.matches("select, input") && !brush.row) {
    byId("list").focus();
    return;
  }
  if (brush.row) {
    if (brushKey(event)) {
      event.preventDefault();
    } else if ("bmz".includes(event.key) && !event.ctrlKey) {
      actions[event.key]();
    }
    return;
  }
  if (isTaken(event) || event.ctrlKey || event.metaKey || event.altKey) {
    return;
  }
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key in actions) {
    event.preventDefault();
    actions[key]();
  }
});

function rearrange() {
  arrange();
  drawList();
  goTo(state.at);
}

function wire() {
  for (const id of ["show", "order", "class"]) {
    byId(id).addEventListener("change", rearrange);
  }
  byId("find").addEventListener("input", rearrange);
  const buttons = {
    accept, reject: () => reject(), undecide, undo, mend: startMending,
    previous: actions.k, next: actions.j, "help-button": actions["?"],
  };
  for (const [id, action] of Object.entries(buttons)) {
    byId(id).addEventListener("click", action);
  }
  byId("keys").append(...KEYS.map(([keys, text]) => {
    const line = document.createElement("div");
    line.append(part("dt", "", keys), part("dd", "", text));
    return line;
  }));
  byId("reasons").append(...REASONS.map((reason) => new Option(reason, reason)));
}

async function start() {
  const inside = byId("data");
  const data = inside ? JSON.parse(inside.textContent) : await (await fetch("data.json")).json();
  Object.assign(state, { runs: data.runs, rows: data.rows, readOnly: data.readOnly });
  wire();
  if (state.runs.length > 1) {
    byId("class-label").hidden = false;
    byId("class").append(...state.runs.map((name, number) => new Option(name, number)));
  }
  if (state.readOnly) {
    for (const id of ["decide-tools", "advance-label"]) {
      byId(id).hidden = true;
    }
    byId("said").textContent = `To decide and to mend labels: ${data.command}`;
  }
  byId("counts").textContent = counts();
  rearrange();
  byId("list").focus({ preventScroll: true });
}

start().catch((error) => alarm(`The samples cannot be shown (${error.message}).`));
