// Before the first paint: the system's light or dark theme, or the one that was chosen here.
const dark = window.matchMedia("(prefers-color-scheme: dark)");

function applyTheme() {
  const chosen = localStorage.getItem("theme");
  const theme = chosen ?? (dark.matches ? "dark" : "light");
  document.documentElement.setAttribute("data-bs-theme", theme);
  document.dispatchEvent(new Event("themechange"));
}

// Back to what the system says once the choice agrees with it.
function switchTheme() {
  const next = document.documentElement.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
  if ((next === "dark") === dark.matches) localStorage.removeItem("theme");
  else localStorage.setItem("theme", next);
  applyTheme();
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-theme-switch]")) switchTheme();
});
dark.addEventListener("change", applyTheme);
applyTheme();
