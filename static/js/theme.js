// Before the first paint: the page follows the system's light or dark theme.
const dark = window.matchMedia("(prefers-color-scheme: dark)");

function applyTheme() {
  document.documentElement.setAttribute("data-bs-theme", dark.matches ? "dark" : "light");
}

dark.addEventListener("change", applyTheme);
applyTheme();
