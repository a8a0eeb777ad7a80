// The large picture: before and after, outlines, zoom.
"use strict";

const KINDS = ["normal", "result", "label", "requested", "heat"];
const stage = { row: null, detail: null, zoomed: true, outline: "label", details: new Map() };

function showSample(row) {
  stage.row = row;
  stage.detail = null;
  if (!row) {
    byId("name").textContent = "No sample";
    for (const id of ["state", "why", "figures"]) {
      byId(id).replaceChildren();
    }
    for (const kind of KINDS) {
      byId(kind).removeAttribute("src");
    }
    return;
  }
  showHeadline(row);
  showFigures(row);
  byId("slider").value = 0;
  loadPictures(row);
  detailOf(row).then((detail) => {
    if (stage.row === row) {
      stage.detail = detail;
      layOut();
      byId("stage").dataset.shown = row.name;
    }
  }).catch(() => {});
  const following = state.order[state.at + 1];
  if (following && !state.readOnly) {
    for (const kind of ["result", "normal", "label"]) {
      new Image().src = address(following, kind);
    }
    detailOf(following).catch(() => {});
  }
}

function loadPictures(row) {
  for (const kind of KINDS) {
    const image = byId(kind);
    const wanted = kind === "heat" && stage.outline !== "heat" ? "" : address(row, kind);
    if (!wanted) {
      image.removeAttribute("src");
    } else if (image.getAttribute("src") !== wanted) {
      image.src = wanted;
    }
  }
}

// Size of the picture and the square around its defect.
async function detailOf(row) {
  if (state.readOnly) {
    if (row.detail) {
      return row.detail;
    }
    await byId("result").decode();
    return { width: byId("result").naturalWidth, height: byId("result").naturalHeight, box: null };
  }
  const key = `${row.run}/${row.name}`;
  if (!stage.details.has(key)) {
    stage.details.set(key, await (await ask(`detail/${key}`)).json());
  }
  return stage.details.get(key);
}

function showHeadline(row) {
  byId("name").textContent = state.runs.length > 1 ? `${state.runs[row.run]} ${row.name}` : row.name;
  byId("state").replaceChildren(badge(row));
  byId("why").textContent = row.pending ? "saving ..." : `verdict: ${row.verdict}`;
  byId("stage").setAttribute("aria-label", `Sample ${row.name}, ${stateWords(row)}, verdict ${row.verdict}`);
  if (document.activeElement !== byId("reason")) {
    byId("reason").value = row.reason;
  }
  const isChosen = (word) => row.decision === word;
  byId("accept").classList.toggle("chosen", isChosen("accept"));
  byId("reject").classList.toggle("chosen", isChosen("reject"));
  byId("undecide").disabled = isChosen("undecided") && !row.mended;
  if (row === stage.row && !row.pending) {
    loadPictures(row);
  }
}

function showFigures(row) {
  const pairs = { ...row.figures, seed: row.seed, from: row.source };
  byId("figures").replaceChildren(...Object.entries(pairs).map(([name, value]) => {
    const line = document.createElement("div");
    line.append(part("dt", "", name), part("dd", "", value));
    return line;
  }));
}

// Scale and place of the picture on the stage, in pixels of the screen.
function placement() {
  const { width, height, box } = stage.detail;
  const room = byId("stage").getBoundingClientRect();
  const part_ = stage.zoomed && box ? box : { left: 0, top: 0, width, height };
  const wide = part_.width || part_.side;
  const high = part_.height || part_.side;
  const scale = Math.min(room.width / wide, room.height / high);
  const left = (room.width - wide * scale) / 2 - part_.left * scale;
  const top = (room.height - high * scale) / 2 - part_.top * scale;
  return { scale, left, top, width: width * scale, height: height * scale };
}

function layOut() {
  if (!stage.detail) {
    return;
  }
  const { scale, left, top, width, height } = placement();
  for (const element of document.querySelectorAll("#stage .layer > *")) {
    Object.assign(element.style, {
      left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px`,
    });
    element.classList.toggle("pixelated", scale >= 2);
  }
  const share = Number(byId("slider").value);
  const room = byId("stage").clientWidth;
  byId("result-layer").style.clipPath = `inset(0 0 0 ${share}%)`;
  byId("divider").hidden = share === 0 || share === 100;
  byId("divider").style.left = `${(share / 100) * room - 1}px`;
  byId("before-mark").hidden = share === 0;
  const isOn = (...values) => values.includes(stage.outline);
  byId("label-layer").hidden = !isOn("label", "both") && !brush.row;
  byId("requested-layer").hidden = !isOn("both");
  byId("heat-layer").hidden = !isOn("heat");
  drawCursor();
}

function toggleBefore() {
  byId("slider").value = byId("slider").value === "0" ? 100 : 0;
  layOut();
}

function toggleOutline() {
  const choice = byId("outline");
  choice.value = choice.value === "none" ? (stage.last || "label") : "none";
  takeOutline();
}

function takeOutline() {
  if (stage.outline !== "none") {
    stage.last = stage.outline;
  }
  stage.outline = byId("outline").value;
  if (stage.row) {
    loadPictures(stage.row);
  }
  layOut();
}

function toggleZoom() {
  stage.zoomed = !stage.zoomed;
  byId("zoom").setAttribute("aria-pressed", stage.zoomed);
  layOut();
}

byId("slider").addEventListener("input", layOut);
byId("outline").addEventListener("change", takeOutline);
byId("zoom").addEventListener("click", toggleZoom);
new ResizeObserver(layOut).observe(byId("stage"));
