// What every page does: charts, menus, questions before what cannot be undone, and a quiet refresh.
import { drawCharts } from "./charts.js";
import { keepInput } from "./kept.js";
import { keepFresh } from "./live.js";
import { searchAsOneTypes } from "./search.js";

function toggle(button) {
  const target = document.getElementById(button.dataset.toggle);
  const open = target.classList.toggle("is-open");
  button.setAttribute("aria-expanded", String(open));
}

document.addEventListener("click", (event) => {
  const toggler = event.target.closest("[data-toggle]");
  if (toggler) toggle(toggler);
  const opener = event.target.closest("[data-dialog]");
  if (opener) {
    const chosen = document.getElementById(opener.dataset.check);
    if (chosen) chosen.checked = true;
    nameTheEnd();
    document.getElementById(opener.dataset.dialog).showModal();
  }
  const closer = event.target.closest("[data-close]");
  if (closer) closer.closest("dialog").close();
  // one open menu at a time, and none once the visitor has gone elsewhere
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

// The button that ends an experiment names the variant that it ships.
function nameTheEnd() {
  const form = document.querySelector("[data-ending]");
  const chosen = form?.querySelector("input[data-says]:checked");
  if (chosen) form.querySelector("[data-end-label]").textContent = chosen.dataset.says;
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-says]")) nameTheEnd();
});

// A select that acts at once; without scripts its form has a button.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});

// On a telephone the tabs are a strip: the one that is open is in sight.
const strip = document.querySelector(".tabs");
const current = strip?.querySelector("[aria-current]");
if (current) strip.scrollLeft = current.offsetLeft - strip.offsetLeft - (strip.clientWidth - current.offsetWidth) / 2;

// On a telephone a long text is cut after two lines; a button shows the rest, where there is any.
for (const button of document.querySelectorAll("[data-unfold]")) {
  const text = document.getElementById(button.dataset.unfold);
  const look = () => {
    button.hidden = text.scrollHeight <= text.clientHeight;
  };
  new ResizeObserver(look).observe(text);
  button.addEventListener("click", () => {
    text.classList.add("is-whole");
    look();
  });
}

drawCharts();
keepFresh();
keepInput();
searchAsOneTypes();
