// Draws what dashboard/charts.py prepared: the JSON beside each canvas, in the page's language and theme.
const language = document.documentElement.lang;
const DAY = 86_400_000;

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function translucent(colour, opacity) {
  const [r, g, b] = colour.match(/\w\w/g).map((hex) => parseInt(hex, 16));
  return `rgba(${r}, ${g}, ${b}, ${opacity})`;
}

// --- Numbers and dates, as a reader of the page's language writes them ---

function formatter(unit, precise) {
  const options =
    unit === "percent"
      ? { style: "percent", minimumFractionDigits: precise ? 2 : 0, maximumFractionDigits: 2 }
      : { maximumFractionDigits: unit === "count" ? (precise ? 1 : 0) : 2 };
  const format = new Intl.NumberFormat(language, options);
  return (value) => (value === null || value === undefined ? "–" : format.format(value));
}

const months = new Intl.DateTimeFormat(language, { month: "short", timeZone: "UTC" });

// 4 Sep 2026, in the one spelling of the pages (dashboard/formatting.py)
function shortDate(date) {
  return `${date.getUTCDate()} ${months.format(date)}`;
}

function longDate(date) {
  return `${shortDate(date)} ${date.getUTCFullYear()}`;
}

function place(chart, value) {
  return chart.xKind === "date" ? Date.parse(value) / DAY : value;
}

function placeName(chart, value, format = shortDate) {
  if (chart.xKind === "date") return format(new Date(Math.round(value) * DAY));
  return chart.xKind === "number" ? new Intl.NumberFormat(language).format(value) : value;
}

// --- From our series to Chart.js datasets ---

function points(chart, values) {
  return chart.x.map((x, index) => ({ x: place(chart, x), y: values[index] }));
}

function lineDatasets(chart) {
  const few = chart.x.length < 2;
  return chart.series.flatMap((series, order) => {
    const colour = css(series.colour);
    const line = {
      label: series.name,
      data: points(chart, series.values),
      borderColor: colour,
      backgroundColor: colour,
      borderDash: series.dashed ? [6, 4] : [],
      borderWidth: 2,
      pointRadius: few ? 4 : 0,
      pointHitRadius: 12,
      stepped: chart.kind === "steps" ? "before" : false,
      spanGaps: true,
      order,
    };
    if (!series.low) return [line];
    const edge = { borderWidth: 0, pointRadius: 0, pointHitRadius: 0, isBand: true, spanGaps: true, order: order + 100 };
    return [
      line,
      { ...edge, label: "", data: points(chart, series.low), fill: false },
      { ...edge, label: "", data: points(chart, series.high), fill: "-1", backgroundColor: translucent(colour, 0.14) },
    ];
  });
}

function areaDatasets(chart) {
  return chart.series.map((series, order) => {
    const colour = css(series.colour);
    return {
      label: series.name,
      data: points(chart, series.values),
      borderColor: colour,
      backgroundColor: translucent(colour, 0.75),
      borderWidth: 1,
      pointRadius: chart.x.length < 2 ? 4 : 0,
      pointHitRadius: 12,
      fill: order ? "-1" : "origin",
      stepped: "before",
    };
  });
}

function barDatasets(chart) {
  return chart.series.map((series) => {
    const colour = css(series.colour);
    // a place without a bar keeps its place: bars go by position
    const number = (value) => value ?? NaN;
    const bars = series.values.map((y, index) => ({
      y: number(y),
      ...(series.low && { yMin: number(series.low[index]), yMax: number(series.high[index]) }),
    }));
    return {
      label: series.name,
      data: bars,
      backgroundColor: translucent(colour, 0.8),
      borderColor: colour,
      borderWidth: 1,
      borderRadius: 3,
      maxBarThickness: 56,
      grouped: false,
      errorBarColor: css("chart-text"),
      errorBarWhiskerColor: css("chart-text"),
      errorBarWhiskerSize: 12,
      errorBarLineWidth: 1.5,
    };
  });
}

const DATASETS = { lines: lineDatasets, steps: lineDatasets, area: areaDatasets, bars: barDatasets };

function drawsLines(chart) {
  return chart.kind === "lines" || chart.kind === "steps";
}

// Chart.js would show every line solid: with point styles it asks the points, which have no dashes.
function lineLabels(drawn) {
  const labels = Chart.defaults.plugins.legend.labels.generateLabels(drawn);
  return labels.map((label) => ({ ...label, lineWidth: 2, lineDash: drawn.data.datasets[label.datasetIndex].borderDash }));
}

function annotations(chart) {
  const colour = css("tblr-secondary");
  return chart.marks.map((mark) => ({
    type: "line",
    scaleID: mark.axis,
    value: mark.axis === "x" ? place(chart, mark.at) : mark.at,
    borderColor: colour,
    borderWidth: 1.5,
    borderDash: [4, 4],
    label: {
      display: true,
      content: mark.label,
      // where lines seldom are: under a horizontal mark at its beginning, at the foot of a vertical one
      position: mark.axis === "x" ? "end" : "start",
      yAdjust: mark.axis === "x" ? 0 : 12,
      backgroundColor: translucent(css("chart-ground"), 0.75),
      color: css("chart-text"),
      font: { size: 11, weight: "500" },
      padding: 4,
    },
  }));
}

function xScale(chart) {
  const title = { display: Boolean(chart.xTitle), text: chart.xTitle };
  const grid = { display: false };
  if (chart.xKind === "name") return { type: "category", title, grid };
  return {
    type: "linear",
    title,
    grid,
    min: place(chart, chart.x[0]),
    max: place(chart, chart.x.at(-1)),
    ticks: {
      maxRotation: 0,
      autoSkipPadding: 18,
      includeBounds: chart.xKind === "date",
      precision: chart.xKind === "date" ? 0 : undefined,
      callback: (value) => placeName(chart, value),
    },
  };
}

function configuration(chart) {
  const inexact = formatter(chart.unit, false);
  const exact = formatter(chart.unit, true);
  const single = chart.series.length < 2 && chart.kind !== "area";
  return {
    type: chart.kind === "bars" ? (chart.series[0].low ? "barWithErrorBars" : "bar") : "line",
    data: { ...(chart.xKind === "name" && { labels: chart.x }), datasets: DATASETS[chart.kind](chart) },
    options: {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      interaction: { mode: chart.kind === "bars" ? "nearest" : "index", axis: "x", intersect: false },
      scales: {
        x: xScale(chart),
        y: {
          stacked: chart.kind === "area",
          title: { display: Boolean(chart.yTitle), text: chart.yTitle },
          min: chart.yMin ?? undefined,
          max: chart.yMax ?? undefined,
          ticks: { callback: inexact, maxTicksLimit: 7 },
        },
      },
      plugins: {
        legend: {
          display: !single && chart.kind !== "bars",
          labels: {
            boxWidth: 12,
            boxHeight: 12,
            ...(drawsLines(chart) && { usePointStyle: true, pointStyle: "line", pointStyleWidth: 24, generateLabels: lineLabels }),
            filter: (item, data) => !data.datasets[item.datasetIndex].isBand,
          },
          // a band goes with its line
          onClick: (event, item, legend) => {
            const visible = legend.chart.isDatasetVisible(item.datasetIndex);
            legend.chart.data.datasets.forEach((dataset, index) => {
              const own = index === item.datasetIndex || (dataset.isBand && bandOwner(legend.chart, index) === item.datasetIndex);
              if (own) legend.chart.setDatasetVisibility(index, !visible);
            });
            legend.chart.update();
          },
        },
        tooltip: {
          filter: (item) => !item.dataset.isBand,
          callbacks: {
            title: (items) => (items.length ? chart.xKind === "name" ? items[0].label : placeName(chart, items[0].parsed.x, longDate) : ""),
            label: (item) => tooltipLine(chart, item, exact),
          },
        },
        annotation: { annotations: annotations(chart) },
      },
    },
  };
}

function bandOwner(drawn, index) {
  let owner = index;
  while (drawn.data.datasets[owner].isBand) owner -= 1;
  return owner;
}

function tooltipLine(chart, item, exact) {
  const series = chart.series.find((one) => one.name === item.dataset.label);
  const index = item.dataIndex;
  const bounds = series?.low ? ` (${exact(series.low[index])} – ${exact(series.high[index])})` : "";
  return ` ${item.dataset.label}: ${exact(item.parsed.y)}${bounds}`;
}

// --- The table behind a chart, its picture and its file ---

function read(id) {
  return JSON.parse(document.getElementById(`${id}-data`).textContent);
}

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
  const exact = formatter(chart.unit, true);
  const table = document.createElement("table");
  table.className = "table table-sm table-vcenter numeric";
  rows(chart).forEach((cells, number) => {
    const row = table.insertRow();
    cells.forEach((value, column) => {
      const cell = document.createElement(number && column ? "td" : "th");
      if (!number) cell.scope = "col";
      else if (!column) cell.scope = "row";
      const text = !number ? value : column ? exact(value) : placeName(chart, place(chart, value), longDate);
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
// As experiments/tables/rows.py.
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
  const text = rows(read(id)).map((cells) => cells.map(csvCell).join(",")).join("\r\n");
  const url = URL.createObjectURL(new Blob([`\ufeff${text}\r\n`], { type: "text/csv" }));
  save(`${id}.csv`, url);
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function saveImage(id) {
  const canvas = document.getElementById(id);
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const context = copy.getContext("2d");
  context.fillStyle = css("chart-ground");
  context.fillRect(0, 0, copy.width, copy.height);
  context.drawImage(canvas, 0, 0);
  save(`${id}.png`, copy.toDataURL("image/png"));
}

// --- Drawing ---

function applyDefaults() {
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 12;
  Chart.defaults.color = css("tblr-secondary");
  Chart.defaults.borderColor = css("chart-grid");
}

export function drawCharts(root = document) {
  const canvases = root.querySelectorAll("canvas[data-chart]");
  if (!canvases.length) return;
  applyDefaults();
  for (const canvas of canvases) {
    Chart.getChart(canvas)?.destroy();
    new Chart(canvas, configuration(read(canvas.id)));
  }
}

document.addEventListener("themechange", () => drawCharts());
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-chart-table], [data-chart-image], [data-chart-csv]");
  if (button?.dataset.chartTable) toggleTable(button);
  else if (button?.dataset.chartImage) saveImage(button.dataset.chartImage);
  else if (button?.dataset.chartCsv) saveCsv(button.dataset.chartCsv);
});
