// A report is printed in light colours, whatever the theme, with charts as wide as the paper and nothing folded.
import { drawCharts } from "./charts.js";

const root = document.documentElement;
let before = null;
let opened = [];

function useTheme(theme) {
  root.setAttribute("data-bs-theme", theme);
  document.dispatchEvent(new Event("themechange"));
}

window.addEventListener("beforeprint", () => {
  before = root.getAttribute("data-bs-theme");
  if (before !== "light") useTheme("light");
  opened = [...document.querySelectorAll(".report details:not([open])")];
  for (const details of opened) details.open = true;
});
window.addEventListener("afterprint", () => {
  if (before && before !== "light") useTheme(before);
  for (const details of opened) details.open = false;
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) window.print();
});

// Elsewhere page.js draws them.
if (document.querySelector("[data-draw]")) drawCharts();
