// Simulator, backtest, planner: sends the form, shows how far the server is, puts the result into the page.
// What is asked stands in the address, so that a link runs it again. Without this file the form posts itself.
import { drawCharts } from "./charts.js";

const form = document.querySelector("form[data-lab]");
const result = document.getElementById("lab-result");
const progress = document.getElementById("lab-progress");
const failed = document.getElementById("lab-failed");
const status = document.getElementById("lab-status");
const percent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" });
let running = null;

function hasFile() {
  return [...form.elements].some((field) => field.type === "file" && field.files.length > 0);
}

// What is filled in, without the token and without files: they have no place in an address.
function query() {
  const pairs = [...new FormData(form)].filter(
    ([name, value]) => typeof value === "string" && value !== "" && name !== "csrfmiddlewaretoken",
  );
  return new URLSearchParams(pairs);
}

function show(done) {
  progress.querySelector("progress").value = Math.round(100 * done);
  progress.querySelector("[data-lab-percent]").textContent = percent.format(done);
}

function begin() {
  running?.abort();
  running = new AbortController();
  failed.hidden = true;
  progress.hidden = false;
  result.setAttribute("aria-busy", "true");
  status.textContent = status.dataset.running;
  show(0);
  return running;
}

function end(message) {
  running = null;
  progress.hidden = true;
  result.removeAttribute("aria-busy");
  status.textContent = message;
}

// Each line of the answer is a message of dashboard/lab/stream.py.
async function* messages(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

function put(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  result.replaceChildren(...fresh.body.childNodes);
  drawCharts(result);
}

function ask(signal) {
  const headers = { Accept: "application/x-ndjson" };
  if (hasFile()) return fetch(form.dataset.lab, { method: "POST", body: new FormData(form), headers, signal });
  return fetch(`${form.dataset.lab}?${query()}`, { headers, signal });
}

async function readAnswer(answer, mine) {
  for await (const message of messages(answer.body)) {
    if (message.failed) throw new Error("failed");
    if (message.done) show(message.done);
    if (message.html === undefined) continue;
    put(message.html);
    if (running === mine) end(status.dataset.finished);
    return;
  }
  throw new Error("cut short");
}

async function run() {
  const mine = begin();
  try {
    const answer = await ask(mine.signal);
    // a form with errors, or a login that has run out: the page itself says so
    if (!answer.headers.get("Content-Type")?.startsWith("application/x-ndjson")) return form.submit();
    await readAnswer(answer, mine);
  } catch {
    if (running !== mine) return;
    failed.hidden = mine.signal.aborted;
    end(mine.signal.aborted ? status.dataset.stopped : "");
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!hasFile()) window.history.pushState(null, "", `${window.location.pathname}?${query()}`);
  run();
  // on a telephone the results are far below the button
  progress.scrollIntoView({ block: "nearest" });
});
progress.querySelector("[data-lab-cancel]").addEventListener("click", () => running?.abort());
// The address has changed under the page: the form and its result belong to the other one.
window.addEventListener("popstate", () => window.location.reload());
if ("labStarts" in form.dataset) run();
