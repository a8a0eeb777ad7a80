// Mending a label: a round brush on a canvas of the picture's size, white on black.
"use strict";

const STROKES = 20; // that can be taken back
const brush = { row: null, draws: true, size: 8, at: null, last: null, strokes: [] };

async function startMending() {
  const row = currentRow();
  if (!row || brush.row || state.readOnly || !stage.detail) {
    return;
  }
  await state.saving;
  const canvas = byId("brush");
  canvas.width = stage.detail.width;
  canvas.height = stage.detail.height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const label = new Image();
  label.src = address(row, "label");
  await label.decode();
  context.drawImage(label, 0, 0);
  Object.assign(brush, { row, strokes: [], last: null, at: middle() });
  showBrush(true);
  setDraws(true);
  byId("stage").focus();
  layOut();
}

// Where the brush stands at first: in the middle of what is shown.
function middle() {
  const { width, height, box } = stage.detail;
  if (stage.zoomed && box) {
    return { x: box.left + box.side / 2, y: box.top + box.side / 2 };
  }
  return { x: width / 2, y: height / 2 };
}

function showBrush(isOn) {
  byId("brush").hidden = !isOn;
  byId("label").hidden = isOn;
  byId("brush-tools").hidden = !isOn;
  for (const id of ["decide-tools", "move-tools"]) {
    byId(id).hidden = isOn;
  }
  byId("stage").classList.toggle("editing", isOn);
  byId("label-layer").classList.toggle("editing", isOn);
  byId("said").textContent = isOn ? "The brush is on: pointer, or arrow keys and space." : "";
}

function endMending() {
  brush.row = null;
  showBrush(false);
  layOut();
}

async function saveLabel() {
  const { row } = brush;
  const picture = await new Promise((done) => byId("brush").toBlob(done, "image/png"));
  endMending();
  await sendLabel(row, picture);
}

function setDraws(draws) {
  brush.draws = draws;
  byId("draw").setAttribute("aria-pressed", draws);
  byId("erase").setAttribute("aria-pressed", !draws);
}

function setSize(size) {
  brush.size = Math.min(Math.max(size, 1), 64);
  byId("size").value = brush.size;
  byId("size-shown").textContent = brush.size;
  drawCursor();
}

function remember() {
  const canvas = byId("brush");
  const context = canvas.getContext("2d");
  brush.strokes.push(context.getImageData(0, 0, canvas.width, canvas.height));
  brush.strokes.splice(0, brush.strokes.length - STROKES);
}

function undoStroke() {
  const before = brush.strokes.pop();
  if (before) {
    byId("brush").getContext("2d").putImageData(before, 0, 0);
  }
}

// A stroke from the last point to this one, in pixels of the picture.
function paintTo(point) {
  const context = byId("brush").getContext("2d");
  const from = brush.last || point;
  context.strokeStyle = brush.draws ? "#fff" : "#000";
  context.lineWidth = brush.size;
  context.lineCap = "round";
  context.beginPath();
  context.moveTo(from.x, from.y);
  context.lineTo(point.x, point.y + (from === point ? 0.01 : 0));
  context.stroke();
  brush.last = point;
}

function pointOf(event) {
  const room = byId("stage").getBoundingClientRect();
  const { scale, left, top } = placement();
  return { x: (event.clientX - room.left - left) / scale, y: (event.clientY - room.top - top) / scale };
}

function drawCursor() {
  const cursor = byId("cursor");
  cursor.hidden = !brush.row || !brush.at;
  if (!cursor.hidden) {
    const { scale, left, top } = placement();
    const side = Math.max(brush.size * scale, 4);
    Object.assign(cursor.style, {
      width: `${side}px`, height: `${side}px`,
      left: `${left + brush.at.x * scale}px`, top: `${top + brush.at.y * scale}px`,
    });
  }
}

// Keys while the brush is on; true where one was meant.
function brushKey(event) {
  const step = event.shiftKey ? 1 : Math.max(1, brush.size / 2);
  const moves = {
    ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step],
  };
  const isOnStage = document.activeElement === byId("stage") || document.activeElement === document.body;
  if (event.key in moves && isOnStage) {
    const [right, down] = moves[event.key];
    const inside = (value, limit) => Math.min(Math.max(value, 0), limit);
    brush.at = {
      x: inside(brush.at.x + right, stage.detail.width),
      y: inside(brush.at.y + down, stage.detail.height),
    };
    drawCursor();
    return true;
  }
  const keys = {
    d: () => setDraws(true), e: () => setDraws(false),
    "[": () => setSize(brush.size - 1), "]": () => setSize(brush.size + 1), Escape: endMending,
  };
  if (isOnStage) {
    keys.Enter = saveLabel;
    keys[" "] = () => {
      remember();
      brush.last = null;
      paintTo({ ...brush.at });
    };
  }
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if ((event.ctrlKey || event.metaKey) && key === "z") {
    undoStroke();
    return true;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || !(key in keys)) {
    return false;
  }
  keys[key]();
  return true;
}

byId("stage").addEventListener("pointerdown", (event) => {
  if (brush.row && event.button === 0) {
    byId("stage").setPointerCapture(event.pointerId);
    remember();
    brush.last = null;
    brush.at = pointOf(event);
    paintTo(brush.at);
    drawCursor();
  }
});
byId("stage").addEventListener("pointermove", (event) => {
  if (brush.row) {
    brush.at = pointOf(event);
    if (brush.last && event.buttons & 1) {
      paintTo(brush.at);
    }
    drawCursor();
  }
});
for (const name of ["pointerup", "pointercancel"]) {
  byId("stage").addEventListener(name, () => {
    brush.last = null;
  });
}
byId("draw").addEventListener("click", () => setDraws(true));
byId("erase").addEventListener("click", () => setDraws(false));
byId("size").addEventListener("input", (event) => setSize(Number(event.target.value)));
byId("stroke-undo").addEventListener("click", undoStroke);
byId("save").addEventListener("click", saveLabel);
byId("cancel").addEventListener("click", endMending);
