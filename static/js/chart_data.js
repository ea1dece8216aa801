// What charts read and write: the JSON of dashboard/charts.py, and numbers and dates as the page's language has them.
import { decimalsOf, decimalsOfStep } from "./numbers.js";

const language = document.documentElement.lang;
export const DAY = 86_400_000;
const MISSING = "–";
const months = new Intl.DateTimeFormat(language, { month: "short", timeZone: "UTC" });

export function read(id) {
  return JSON.parse(document.getElementById(`${id}-data`).textContent);
}

function fixed(decimals, style) {
  return new Intl.NumberFormat(language, { style, minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

// A number by itself: percent with two significant digits at least, counts whole or with one decimal.
export function exact(unit) {
  return (value) => {
    if (value === null || value === undefined || Number.isNaN(value)) return MISSING;
    if (unit === "percent") return fixed(decimalsOf(100 * value), "percent").format(value);
    const most = unit === "count" ? (Number.isInteger(value) ? 0 : 1) : decimalsOf(value, 2);
    return new Intl.NumberFormat(language, { maximumFractionDigits: most }).format(value);
  };
}

// The ticks of an axis: all with the decimals that tell them apart, and never a zero with a sign.
export function ticks(unit) {
  return (value, index, all) => {
    const shown = Math.abs(value) < 1e-12 ? 0 : value;
    const step = all.length > 1 ? all[1].value - all[0].value : shown;
    const signed = (text) => text.replace("-", "−");
    if (unit === "percent") return signed(fixed(decimalsOfStep(100 * step), "percent").format(shown));
    const large = Math.max(...all.map((tick) => Math.abs(tick.value))) >= 100_000;
    if (large) return signed(new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 2 }).format(shown));
    return signed(fixed(decimalsOfStep(step), "decimal").format(shown));
  };
}

// 4 Sep 2026, in the one spelling of the pages (dashboard/formatting.py)
export function shortDate(date) {
  return `${date.getUTCDate()} ${months.format(date)}`;
}

export function longDate(date) {
  return `${shortDate(date)} ${date.getUTCFullYear()}`;
}

export function place(chart, value) {
  return chart.xKind === "date" ? Date.parse(value) / DAY : value;
}

export function placeName(chart, value, format = shortDate) {
  if (chart.xKind === "date") return format(new Date(Math.round(value) * DAY));
  return chart.xKind === "number" ? new Intl.NumberFormat(language).format(value) : value;
}
