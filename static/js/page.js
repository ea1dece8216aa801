// What every page does once its scripts are here: charts, a quiet refresh, and a search that answers as one types.
import { drawCharts } from "./charts.js";
import { keepFresh } from "./live.js";
import { searchAsOneTypes } from "./search.js";

// On a telephone the tabs are a strip: the one that is open is in sight.
const strip = document.querySelector(".tabs");
const current = strip?.querySelector("[aria-current]");
if (current) strip.scrollLeft = current.offsetLeft - strip.offsetLeft - (strip.clientWidth - current.offsetWidth) / 2;

drawCharts();
keepFresh();
searchAsOneTypes();
