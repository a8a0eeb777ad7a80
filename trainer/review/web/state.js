// What the page knows: samples, their order, decisions, and the way to the server.
"use strict";

const byId = (id) => document.getElementById(id);

const state = {
  runs: [],
  rows: [],
  readOnly: true,
  order: [], // the rows that are shown, in their order; fixed until order or filter change
  at: -1, // place of the shown row in `order`
  history: [], // what Undo takes back, newest last
  saving: Promise.resolve(), // decisions reach the server in the order in which they were made
};

const orders = {
  number: (a, b) => compare(a.run, b.run) || compare(a.name, b.name),
  verdict: (a, b) => compare(a.byVerdict, b.byVerdict) || compare(a.verdict, b.verdict),
  weakest: (a, b) => compareKnown(a.strength, b.strength),
  strongest: (a, b) => compareKnown(a.strength, b.strength, -1),
  closest: (a, b) => compareKnown(a.closeness, b.closeness),
  furthest: (a, b) => compareKnown(a.closeness, b.closeness, -1),
};

const filters = {
  all: () => true,
  open: (row) => row.decision === "undecided",
  in: (row) => row.accepted,
  out: (row) => !row.accepted,
  decided: (row) => row.decision !== "undecided",
  mended: (row) => row.mended,
};

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

// Unknown figures come last in either direction.
function compareKnown(a, b, sign = 1) {
  if (a === null || b === null) {
    return compare(a === null, b === null);
  }
  return sign * compare(a, b);
}

function currentRow() {
  return state.order[state.at];
}

// The rows that the controls leave, in the chosen order. The shown sample stays where it is.
function arrange() {
  const shown = currentRow();
  const filter = filters[byId("show").value];
  const order = orders[byId("order").value];
  const run = byId("class").value;
  const words = byId("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  state.order = state.rows.filter((row) => {
    const text = `${row.name} ${row.verdict} ${row.reason}`.toLowerCase();
    const isOfClass = run === "" || row.run === Number(run);
    return isOfClass && filter(row) && words.every((word) => text.includes(word));
  });
  state.order.sort((a, b) => order(a, b) || orders.number(a, b));
  state.at = state.order.length ? Math.max(0, state.order.indexOf(shown)) : -1;
}

function counts() {
  const inside = state.rows.filter(filters.in).length;
  const decided = state.rows.filter(filters.decided).length;
  const mended = state.rows.filter(filters.mended).length;
  return `${state.rows.length} attempts: ${inside} in the data set, ` +
    `${state.rows.length - inside} out. ${decided} decided by a person, ${mended} labels mended.`;
}

function address(row, kind) {
  if (state.readOnly) {
    return (row.files || {})[kind] || "";
  }
  const version = kind === "label" || kind === "thumbnail" ? `?${row.version || 0}` : "";
  return `${kind}/${row.run}/${row.name}${version}`;
}

// Asks the server, and says so where it does not answer.
async function ask(place, body, type) {
  const words = body === undefined ? {} : { method: "POST", body, headers: { "Content-Type": type } };
  let answer;
  try {
    answer = await fetch(place, words);
  } catch (error) {
    alarm("Not saved: the server does not answer. Start bgdefect review again and open its new " +
      "address; what was said to be saved is there.");
    throw error;
  }
  if (!answer.ok) {
    const text = await answer.text();
    alarm(`Not saved: ${text}`);
    throw new Error(text);
  }
  alarm("");
  return answer;
}

function alarm(text) {
  byId("alert").textContent = text;
  byId("alert").hidden = text === "";
}

// One after the other, whatever became of the one before.
function inTurn(work) {
  state.saving = state.saving.then(work, work).catch(() => {});
  return state.saving;
}

// Writes a decision; the row changes when the server says that it is on the disk.
function decide(row, change, isUndo = false) {
  row.pending = true;
  showRow(row);
  return inTurn(async () => {
    const before = { decision: row.decision, reason: row.reason, mended: row.mended };
    const wanted = { ...before, ...change };
    try {
      const text = JSON.stringify(wanted);
      const answer = await ask(`decide/${row.run}/${row.name}`, text, "application/json");
      take(row, await answer.json());
      if (!isUndo) {
        state.history.push({ row, before });
      }
      said(row);
    } finally {
      row.pending = false;
      showRow(row);
    }
  });
}

// Sends a label; `before` is the label that Undo puts back, where a person had drawn one.
function sendLabel(row, picture, isUndo = false) {
  row.pending = true;
  return inTurn(async () => {
    const before = { decision: row.decision, reason: row.reason, mended: row.mended };
    try {
      if (row.mended && !isUndo) {
        before.label = await (await ask(address(row, "label"))).blob();
      }
      const answer = await ask(`mend/${row.run}/${row.name}`, picture, "image/png");
      take(row, await answer.json());
      if (!isUndo) {
        state.history.push({ row, before });
      }
      said(row);
    } finally {
      row.pending = false;
      showRow(row);
    }
  });
}

function take(row, fresh) {
  Object.assign(row, fresh);
  row.version = (row.version || 0) + 1;
}

async function undo() {
  await state.saving;
  const last = state.history.pop();
  if (!last) {
    return;
  }
  const { label, ...decision } = last.before;
  show(last.row);
  if (label) {
    await sendLabel(last.row, label, true);
  }
  await decide(last.row, decision, true);
}

// A proposed region counts once a person accepts it.
const isOpenProposal = (row) => row.proposed && row.decision === "undecided";

const stateWords = (row) => {
  if (isOpenProposal(row)) {
    return "proposed, not decided";
  }
  const by = row.decision === "undecided" ? "" : " by a person";
  return row.accepted ? `accepted${by}` : `rejected${by}`;
};

function said(row) {
  const reason = row.reason ? ` (${row.reason})` : "";
  const label = row.mended ? ", label mended" : "";
  byId("said").textContent = `Saved: ${row.name} ${stateWords(row)}${reason}${label}.`;
}
