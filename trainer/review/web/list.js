// The list: as many rows as fit on the screen, whatever the number of samples.
"use strict";

const ROW = 76; // pixels, as in style.css
const AHEAD = 6; // rows beyond the visible ones
const REST = 90; // milliseconds without scrolling before thumbnails are asked for

const list = { pool: new Map(), timer: 0, frame: 0 };

function drawList() {
  byId("rows").style.height = `${state.order.length * ROW}px`;
  for (const element of list.pool.values()) {
    element.remove();
  }
  list.pool.clear();
  const total = state.rows.length;
  const shown = state.order.length;
  byId("shown").textContent = shown === total ? `${total} shown` : `${shown} of ${total} shown`;
  drawVisible();
}

// Adds the rows that came into view, and takes away those that left it.
function drawVisible() {
  const box = byId("list");
  const first = Math.max(0, Math.floor(box.scrollTop / ROW) - AHEAD);
  const last = Math.min(state.order.length, Math.ceil((box.scrollTop + box.clientHeight) / ROW) + AHEAD);
  for (const [place, element] of list.pool) {
    if (place < first || place >= last) {
      element.remove();
      list.pool.delete(place);
    }
  }
  for (let place = first; place < last; place++) {
    if (!list.pool.has(place)) {
      const element = newRow(place);
      list.pool.set(place, element);
      byId("rows").append(element);
    }
  }
  clearTimeout(list.timer);
  list.timer = setTimeout(loadThumbnails, REST);
}

function newRow(place) {
  const element = document.createElement("div");
  element.className = "row";
  element.id = `row-${place}`;
  element.setAttribute("role", "option");
  element.setAttribute("aria-posinset", place + 1);
  element.setAttribute("aria-setsize", state.order.length);
  element.style.transform = `translateY(${place * ROW}px)`;
  const image = document.createElement("img");
  image.alt = "";
  image.decoding = "async";
  const text = document.createElement("span");
  text.className = "text";
  element.append(image, text);
  fillRow(element, place);
  return element;
}

function fillRow(element, place) {
  const row = state.order[place];
  element.setAttribute("aria-selected", place === state.at);
  const top = part("span", "top");
  top.append(part("b", "", row.name), badge(row));
  const strength = row.strength === null ? "" : `, strength ${row.strength.toFixed(2)}`;
  const notes = [row.mended ? "label mended" : "", row.reason].filter(Boolean).join(", ");
  element.lastChild.replaceChildren(
    top,
    part("span", "verdict", `verdict: ${row.verdict}${strength}`),
    part("span", "note", row.pending ? "saving ..." : notes),
  );
}

function part(tag, name, text = "") {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}

function badge(row) {
  const hand = row.decision === "undecided" ? "" : " hand";
  if (isOpenProposal(row)) {
    return part("span", "badge", "? proposed");
  }
  const text = row.accepted ? "\u2713 accepted" : "\u2717 rejected";
  return part("span", `badge ${row.accepted ? "in" : "out"}${hand}`, hand ? `${text} by hand` : text);
}

function loadThumbnails() {
  for (const [place, element] of list.pool) {
    const wanted = address(state.order[place], "thumbnail");
    const image = element.firstChild;
    if (wanted && image.getAttribute("src") !== wanted) {
      image.src = wanted;
    }
  }
}

// A row that changed, wherever it is on the page.
function showRow(row) {
  const place = state.order.indexOf(row);
  const element = list.pool.get(place);
  if (element) {
    fillRow(element, place);
    clearTimeout(list.timer);
    list.timer = setTimeout(loadThumbnails, REST);
  }
  byId("counts").textContent = counts();
  byId("undo").disabled = state.history.length === 0;
  if (row === currentRow()) {
    showHeadline(row);
  }
}

// Makes a place the shown one.
function goTo(place) {
  if (!state.order.length) {
    state.at = -1;
    showSample(null);
    return;
  }
  const before = state.at;
  state.at = Math.min(Math.max(place, 0), state.order.length - 1);
  const box = byId("list");
  const top = state.at * ROW;
  if (top < box.scrollTop) {
    box.scrollTop = top;
  } else if (top + ROW > box.scrollTop + box.clientHeight) {
    box.scrollTop = top + ROW - box.clientHeight;
  }
  drawVisible();
  for (const changed of [before, state.at]) {
    if (list.pool.has(changed)) {
      fillRow(list.pool.get(changed), changed);
    }
  }
  box.setAttribute("aria-activedescendant", `row-${state.at}`);
  showSample(currentRow());
}

// Shows a row, also one that the filter hides.
function show(row) {
  if (!state.order.includes(row)) {
    byId("show").value = "all";
    byId("find").value = "";
    byId("class").value = "";
    arrange();
    drawList();
  }
  goTo(state.order.indexOf(row));
}

byId("list").addEventListener("scroll", () => {
  cancelAnimationFrame(list.frame);
  list.frame = requestAnimationFrame(drawVisible);
});
byId("list").addEventListener("click", (event) => {
  const element = event.target.closest(".row");
  if (element && !brush.row) {
    goTo(Number(element.id.slice(4)));
  }
});
