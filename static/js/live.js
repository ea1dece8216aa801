// Parts marked data-live are brought up to date from time to time. What the visitor is using is left alone.
import { drawCharts } from "./charts.js";

const EVERY = 60_000;
const arrived = new Map();

function liveParts(root) {
  return [...root.querySelectorAll("[data-live]")].filter((part) => part.id);
}

// Drawing changes canvases and tables, so what arrived is compared, not what it has become.
export function remember(root = document) {
  for (const part of liveParts(root)) arrived.set(part.id, part.innerHTML);
}

function inUse(part) {
  const selection = document.getSelection();
  return (
    part.contains(document.activeElement) ||
    part.querySelector("dialog[open], details[open]:not(.menu), .chart-table:not([hidden]), input:checked") !== null ||
    (!selection.isCollapsed && part.contains(selection.anchorNode))
  );
}

export async function refresh() {
  const answer = await fetch(window.location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of liveParts(fresh)) {
    const shown = document.getElementById(part.id);
    if (!shown || arrived.get(part.id) === part.innerHTML || inUse(shown)) continue;
    arrived.set(part.id, part.innerHTML);
    shown.replaceChildren(...part.childNodes);
    drawCharts(shown);
  }
}

export function keepFresh() {
  if (!liveParts(document).length) return;
  document.addEventListener("refresh", () => refresh());
  setInterval(() => {
    // a server that is away for a minute is asked again the next
    if (document.visibilityState === "visible") refresh().catch(() => {});
  }, EVERY);
}

remember();
