// Draws what dashboard/charts.py prepared: the JSON beside each canvas, in the page's language and theme.
import { exact, longDate, place, placeName, read, ticks } from "./chart_data.js";
import { labelling, padding } from "./chart_marks.js";
import "./chart_files.js";

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function translucent(colour, opacity) {
  const [r, g, b] = colour.match(/\w\w/g).map((hex) => parseInt(hex, 16));
  return `rgba(${r}, ${g}, ${b}, ${opacity})`;
}

// --- From our series to Chart.js datasets ---

function points(chart, values) {
  return chart.x.map((x, index) => ({ x: place(chart, x), y: values[index] }));
}

// A point with no line to either side would not be seen.
function alone(values) {
  return (context) => {
    const at = context.dataIndex;
    const known = (index) => values[index] !== null && values[index] !== undefined;
    return known(at) && !known(at - 1) && !known(at + 1) ? 4 : 0;
  };
}

// Beyond six hues a second round is dashed; a series of its own accord, too.
function dashes(series) {
  if (series.dashed) return [6, 4];
  return Number(series.colour.match(/\d+$/)?.[0]) > 6 ? [2, 3] : [];
}

function lineDatasets(chart) {
  return chart.series.flatMap((series, order) => {
    const colour = css(series.colour);
    const line = {
      label: series.name,
      data: points(chart, series.values),
      borderColor: colour,
      backgroundColor: colour,
      borderDash: dashes(series),
      borderWidth: 2,
      pointRadius: alone(series.values),
      pointHitRadius: 12,
      stepped: chart.kind === "steps" ? "before" : false,
      spanGaps: chart.maxGap ?? true,
      order,
    };
    if (!series.low) return [line];
    const edge = { borderWidth: 0, pointRadius: 0, pointHitRadius: 0, isBand: true, spanGaps: chart.maxGap ?? true, order: order + 100 };
    return [
      line,
      { ...edge, label: "", data: points(chart, series.low), fill: false },
      { ...edge, label: "", data: points(chart, series.high), fill: "-1", backgroundColor: translucent(colour, 0.14) },
    ];
  });
}

// One date alone is drawn as wide as a day.
function bandPoints(chart, values) {
  if (chart.x.length > 1) return points(chart, values);
  const at = place(chart, chart.x[0]);
  return [at - 0.5, at + 0.5].map((x) => ({ x, y: values[0] }));
}

function areaDatasets(chart) {
  return chart.series.map((series, order) => {
    const colour = css(series.colour);
    return {
      label: series.name,
      data: bandPoints(chart, series.values),
      borderColor: colour,
      backgroundColor: translucent(colour, 0.75),
      borderWidth: 1,
      pointRadius: 0,
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

// One date alone has a day of room on either side, so that its points are seen.
function ends(chart) {
  const [first, last] = [place(chart, chart.x[0]), place(chart, chart.x.at(-1))];
  return first === last ? { min: first - 1, max: last + 1 } : { min: first, max: last };
}

function inside(chart, value) {
  return value >= place(chart, chart.x[0]) && value <= place(chart, chart.x.at(-1));
}

function xScale(chart) {
  // dates need no name
  const title = { display: Boolean(chart.xTitle) && chart.xKind !== "date", text: chart.xTitle };
  const grid = { display: false };
  if (chart.xKind === "name") return { type: "category", title, grid };
  return {
    type: "linear",
    title,
    grid,
    ...ends(chart),
    ticks: {
      maxRotation: 0,
      autoSkipPadding: 18,
      includeBounds: chart.xKind === "date",
      precision: chart.xKind === "date" ? 0 : undefined,
      callback: (value) => (chart.xKind === "date" && !inside(chart, value) ? "" : placeName(chart, value)),
    },
  };
}

function configuration(chart, canvas) {
  const write = exact(chart.unit);
  return {
    type: chart.kind === "bars" ? (chart.series[0].low ? "barWithErrorBars" : "bar") : "line",
    data: { ...(chart.xKind === "name" && { labels: chart.x }), datasets: DATASETS[chart.kind](chart) },
    plugins: [labelling(chart)],
    options: {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      layout: { padding: padding(chart, canvas) },
      interaction: { mode: chart.kind === "bars" ? "nearest" : "index", axis: "x", intersect: false },
      scales: {
        x: xScale(chart),
        y: {
          stacked: chart.kind === "area",
          title: { display: Boolean(chart.yTitle), text: chart.yTitle },
          min: chart.yMin ?? undefined,
          max: chart.yMax ?? undefined,
          grace: chart.yMin === null ? "5%" : 0,
          ticks: { callback: ticks(chart.unit), maxTicksLimit: 7, includeBounds: false },
        },
      },
      plugins: {
        legend: { display: false },
        tooltip: {
          filter: (item) => !item.dataset.isBand,
          callbacks: {
            title: (items) => (items.length ? chart.xKind === "name" ? items[0].label : placeName(chart, items[0].parsed.x, longDate) : ""),
            label: (item) => tooltipLine(chart, item, write),
          },
        },
      },
    },
  };
}

function tooltipLine(chart, item, write) {
  const series = chart.series.find((one) => one.name === item.dataset.label);
  const index = item.dataIndex;
  const bounds = series?.low ? ` (${write(series.low[index])} – ${write(series.high[index])})` : "";
  return ` ${item.dataset.label}: ${write(item.parsed.y)}${bounds}`;
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
    new Chart(canvas, configuration(read(canvas.id), canvas));
  }
}

document.addEventListener("themechange", () => drawCharts());
