// Names at the ends of lines in place of a legend, and marks across a chart; neither lets its words overlap.
import { place } from "./chart_data.js";

const LINE_HEIGHT = 14;
const MOST_ROWS = 3;
const GAP = 8;

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function font(weight = 400) {
  return `${weight} 12px ${getComputedStyle(document.body).fontFamily}`;
}

function measure(context, text, weight) {
  context.save();
  context.font = font(weight);
  const { width } = context.measureText(text);
  context.restore();
  return width;
}

// Names that lines end in; a single line is named by the title.
function names(chart) {
  return chart.kind === "bars" || (chart.series.length < 2 && chart.kind !== "area") ? [] : chart.series.map((s) => s.name);
}

function roomForNames(chart, context, width) {
  if (chart.namesAt === "peak") return 8;
  const widest = Math.max(0, ...names(chart).map((name) => measure(context, name, 500)));
  return widest ? Math.min(widest, Math.max(72, width * 0.22)) + 16 : 8;
}

function shortened(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  let short = text;
  while (short && context.measureText(`${short}…`).width > room) short = short.slice(0, -1);
  return `${short.trimEnd()}…`;
}

// Where few areas end, all have a name, since names spread; of many, thin bands have none.
const MOST_NAMED = 8;

// Where each line ends: an area in the middle of its band.
function ends(drawn, chart) {
  const found = [];
  drawn.data.datasets.forEach((dataset, index) => {
    const { data, hidden } = drawn.getDatasetMeta(index);
    if (dataset.isBand || hidden) return;
    const last = dataset.data.findLastIndex((point) => point.y !== null && !Number.isNaN(point.y));
    if (last < 0) return;
    let { y } = data[last];
    if (chart.kind === "area") {
      const below = index ? drawn.getDatasetMeta(index - 1).data[last].y : drawn.scales.y.getPixelForValue(0);
      if (below - y < (drawn.data.datasets.length > MOST_NAMED ? 6 : 1)) return;
      y = (y + below) / 2;
    }
    found.push({ y, name: dataset.label, colour: dataset.borderColor });
  });
  return found.sort((one, other) => one.y - other.y);
}

// Push names apart, first downwards, then back up from the foot.
function spread(labels, top, bottom) {
  let free = top;
  for (const label of labels) {
    label.at = Math.max(label.y, free);
    free = label.at + LINE_HEIGHT;
  }
  let foot = bottom;
  for (const label of [...labels].reverse()) {
    label.at = Math.min(label.at, foot);
    foot = label.at - LINE_HEIGHT;
  }
}

// Names above the highest points, each above those that it would touch.
function drawPeaks(drawn, chart) {
  const { ctx: context, chartArea: area } = drawn;
  const boxes = [];
  context.save();
  context.font = font(500);
  context.textBaseline = "middle";
  context.textAlign = "center";
  drawn.data.datasets.forEach((dataset, index) => {
    const highest = drawn.getDatasetMeta(index).data.reduce((best, point) => (point.y < best.y ? point : best));
    const text = shortened(context, dataset.label, area.width / 3);
    const half = context.measureText(text).width / 2 + 8;
    const x = Math.min(Math.max(highest.x, area.left + half), area.right - half);
    let y = Math.max(highest.y - 10, area.top + 2);
    const touches = (box) => Math.abs(box.x - x) < box.half + half && Math.abs(box.y - y) < LINE_HEIGHT;
    for (let tries = 0; tries < 12 && boxes.some(touches); tries += 1) y += y > area.top + LINE_HEIGHT ? -LINE_HEIGHT : LINE_HEIGHT * 2;
    boxes.push({ x, y, half });
    context.fillStyle = dataset.borderColor;
    context.fillRect(x - half + 2, y - 4, 3, 8);
    context.fillStyle = css("chart-text");
    context.fillText(text, x + 4, y);
  });
  context.restore();
}

function drawNames(drawn, chart) {
  if (!names(chart).length) return;
  if (chart.namesAt === "peak") {
    drawPeaks(drawn, chart);
    return;
  }
  const { ctx: context, chartArea: area } = drawn;
  const labels = ends(drawn, chart);
  spread(labels, area.top + 4, area.bottom - 2);
  context.save();
  context.font = font(500);
  context.textBaseline = "middle";
  for (const label of labels) {
    context.fillStyle = label.colour;
    context.fillRect(area.right + 5, label.at - 4, 3, 8);
    context.fillStyle = css("chart-text");
    context.fillText(shortened(context, label.name, drawn.width - area.right - 14), area.right + 12, label.at);
  }
  context.restore();
}

// --- Marks ---

// Each label gets the first row in which it is free of the others; one that fits into none goes unnamed. Near the right
// edge the words stand before their line.
function placed(drawn, chart) {
  const taken = Array(MOST_ROWS).fill(-Infinity);
  return chart.marks
    .filter((mark) => mark.axis === "x")
    .map((mark) => {
      const x = drawn.scales.x.getPixelForValue(place(chart, mark.at));
      const width = measure(drawn.ctx, mark.label);
      return { ...mark, x, width, left: x + width + 4 > drawn.width ? x - width - 3 : x + 3 };
    })
    .sort((one, other) => one.left - other.left)
    .map((mark) => {
      const row = taken.findIndex((end) => mark.left > end);
      if (row >= 0) taken[row] = mark.left + mark.width + GAP;
      return { ...mark, row };
    });
}

function drawMarks(drawn, chart) {
  const { ctx: context, chartArea: area, scales } = drawn;
  context.save();
  context.strokeStyle = css("tblr-secondary");
  context.fillStyle = css("chart-text");
  context.setLineDash([3, 3]);
  context.font = font();
  context.textBaseline = "middle";
  const marks = placed(drawn, chart);
  for (const mark of marks) {
    const top = mark.row >= 0 ? area.top - 2 - mark.row * LINE_HEIGHT : area.top;
    line(context, mark.x, top, mark.x, area.bottom);
  }
  // words cover the lines of other marks
  for (const mark of marks.filter((one) => one.row >= 0)) {
    const y = area.top - 8 - mark.row * LINE_HEIGHT;
    context.fillStyle = css("chart-ground");
    context.fillRect(mark.left - 2, y - 6, mark.width + 4, 12);
    context.fillStyle = css("chart-text");
    context.fillText(mark.label, mark.left, y);
  }
  for (const mark of chart.marks.filter((one) => one.axis === "y")) {
    const y = scales.y.getPixelForValue(mark.at);
    if (y < area.top || y > area.bottom) continue;
    line(context, area.left, y, area.right, y);
    if (mark.label) context.fillText(mark.label, area.left + 4, y > area.top + LINE_HEIGHT ? y - 8 : y + 9);
  }
  context.restore();
}

function line(context, x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

function roomForMarks(chart) {
  const count = chart.marks.filter((mark) => mark.axis === "x").length;
  if (chart.namesAt === "peak") return 20;
  return count ? Math.min(count, MOST_ROWS) * LINE_HEIGHT + 6 : 8;
}

export function padding(chart, canvas) {
  const width = canvas.parentElement.clientWidth;
  return { top: roomForMarks(chart), right: roomForNames(chart, canvas.getContext("2d"), width) };
}

export function labelling(chart) {
  return {
    id: "labelling",
    afterDatasetsDraw(drawn) {
      drawMarks(drawn, chart);
      drawNames(drawn, chart);
    },
  };
}
