// The table behind a chart, its picture and its file.
import { exact, longDate, place, placeName, read } from "./chart_data.js";

function rows(chart) {
  const header = [chart.xTitle || ""];
  for (const series of chart.series) {
    header.push(series.name);
    if (series.low) header.push(...chart.bounds.map((bound) => `${series.name} ${bound}`));
  }
  const lines = chart.x.map((x, index) => [
    x,
    ...chart.series.flatMap((s) => (s.low ? [s.values[index], s.low[index], s.high[index]] : [s.values[index]])),
  ]);
  return [header, ...lines];
}

function fillTable(id) {
  const chart = read(id);
  const write = exact(chart.unit);
  const table = document.createElement("table");
  table.className = "table table-sm table-vcenter numeric";
  rows(chart).forEach((cells, number) => {
    const row = table.insertRow();
    cells.forEach((value, column) => {
      const cell = document.createElement(number && column ? "td" : "th");
      if (!number) cell.scope = "col";
      else if (!column) cell.scope = "row";
      const text = !number ? value : column ? write(value) : placeName(chart, place(chart, value), longDate);
      cell.textContent = text;
      row.append(cell);
    });
  });
  document.getElementById(`${id}-table`).replaceChildren(table);
}

function toggleTable(button) {
  const id = button.dataset.chartTable;
  const box = document.getElementById(`${id}-table`);
  if (box.hidden) fillTable(id);
  box.hidden = !box.hidden;
  button.setAttribute("aria-expanded", String(!box.hidden));
}

// What a spreadsheet would take for a formula begins with an apostrophe; some end a cell at a semicolon too.
// As experiments/tables/importing/rows.py.
function csvCell(value) {
  const text = value === null || value === undefined ? "" : String(value);
  const safe = typeof value === "string" ? text.replace(/(^|;)(?=['"\s]*[=+\-@\uff1d\uff0b\uff0d\uff20])/g, "$1'") : text;
  return /[",;\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function save(name, href) {
  const link = document.createElement("a");
  link.download = name;
  link.href = href;
  link.click();
}

function saveCsv(id) {
  const chart = read(id);
  const text = rows(chart).map((cells) => cells.map(csvCell).join(",")).join("\r\n");
  const url = URL.createObjectURL(new Blob([`\ufeff${text}\r\n`], { type: "text/csv" }));
  save(`${chart.file}.csv`, url);
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function saveImage(id) {
  const canvas = document.getElementById(id);
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const context = copy.getContext("2d");
  context.fillStyle = css("chart-ground");
  context.fillRect(0, 0, copy.width, copy.height);
  context.drawImage(canvas, 0, 0);
  save(`${read(id).file}.png`, copy.toDataURL("image/png"));
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-chart-table], [data-chart-image], [data-chart-csv]");
  if (button?.dataset.chartTable) toggleTable(button);
  else if (button?.dataset.chartImage) saveImage(button.dataset.chartImage);
  else if (button?.dataset.chartCsv) saveCsv(button.dataset.chartCsv);
});
