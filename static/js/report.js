// A report is printed in light colours, whatever the theme, and with charts as wide as the paper.
import { drawCharts } from "./charts.js";

const root = document.documentElement;
let before = null;

function useTheme(theme) {
  root.setAttribute("data-bs-theme", theme);
  document.dispatchEvent(new Event("themechange"));
}

window.addEventListener("beforeprint", () => {
  before = root.getAttribute("data-bs-theme");
  if (before !== "light") useTheme("light");
});
window.addEventListener("afterprint", () => {
  if (before && before !== "light") useTheme(before);
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) window.print();
});

// Elsewhere page.js draws them.
if (document.querySelector("[data-draw]")) drawCharts();
