// Before the first paint: the theme of the account, else the system's; or the one that was chosen here since.
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const own = document.documentElement.dataset.theme || "system";
const usual = () => (own === "system" ? (dark.matches ? "dark" : "light") : own);

// A choice made here counts until the account's own theme is another one.
function chosenHere() {
  return (localStorage.getItem("theme-over") ?? "system") === own ? localStorage.getItem("theme") : null;
}

function applyTheme() {
  document.documentElement.setAttribute("data-bs-theme", chosenHere() ?? usual());
  document.dispatchEvent(new Event("themechange"));
}

// Back to the usual theme once the choice agrees with it.
function switchTheme() {
  const next = document.documentElement.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
  if (next === usual()) localStorage.removeItem("theme");
  else localStorage.setItem("theme", next);
  localStorage.setItem("theme-over", own);
  applyTheme();
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-theme-switch]")) switchTheme();
});
dark.addEventListener("change", applyTheme);
applyTheme();
