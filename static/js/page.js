// What every page does once its scripts are here: charts, a quiet refresh, and a search that answers as one types.
import { drawCharts } from "./charts.js";
import { keepFresh } from "./live.js";
import { searchAsOneTypes } from "./search.js";

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
searchAsOneTypes();
