// Simulator, backtest, planner: sends the form, shows how far the server is, puts the result into the page.
// What is asked stands in the address, so that a link runs it again. Without this file the form posts itself.
import { drawCharts } from "./charts.js";

const form = document.querySelector("form[data-lab]");
const result = document.getElementById("lab-result");
const progress = document.getElementById("lab-progress");
const failed = document.getElementById("lab-failed");
const status = document.getElementById("lab-status");
const percent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" });
const broken = failed.textContent;
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

// A request that goes on from another begins at 0 again; the bar does not.
function show(done, before = 0) {
  done = Math.max(done, before);
  progress.querySelector("progress").value = Math.round(100 * done);
  progress.querySelector("[data-lab-percent]").textContent = percent.format(done);
  return done;
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

// What is asked, as it stands now: it may be edited while it is computed.
function question() {
  if (hasFile()) return { address: form.dataset.lab, fields: [...new FormData(form)] };
  return { address: `${form.dataset.lab}?${query()}`, fields: [] };
}

// A long computation takes several requests: each brings along what those before it have computed.
function ask({ address, fields }, signal, computed) {
  const headers = { Accept: "application/x-ndjson" };
  const sent = computed ? [...fields, ["computed", computed]] : fields;
  if (!sent.length) return fetch(address, { headers, signal });
  const body = new FormData();
  for (const [name, value] of sent) body.append(name, value);
  headers["X-CSRFToken"] = document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";
  return fetch(address, { method: "POST", body, headers, signal });
}

const pause = (seconds, signal) =>
  new Promise((resolve, reject) => {
    setTimeout(resolve, 1000 * seconds);
    signal.addEventListener("abort", () => reject(signal.reason));
  });

// Past the limit of computations the first request is refused, and a later one waits for its turn.
async function askUntilHeard(asked, signal, computed) {
  for (;;) {
    const answer = await ask(asked, signal, computed);
    if (answer.status === 413) throw new Error("too large", { cause: (await answer.json()).detail });
    if (answer.status !== 429) return answer;
    const refusal = await answer.text();
    if (!computed) throw new Error("refused", { cause: refusal });
    status.textContent = refusal;
    await pause(Number(answer.headers.get("Retry-After")) || 1, signal);
  }
}

// Shows the result, or returns what the next request needs.
async function readAnswer(answer, mine, shown) {
  for await (const message of messages(answer.body)) {
    if (message.failed) throw new Error("failed");
    if (message.done) shown = show(message.done, shown);
    if (message.computed) return { computed: message.computed, shown };
    if (message.html === undefined) continue;
    put(message.html);
    if (running === mine) end(status.dataset.finished);
    return {};
  }
  throw new Error("cut short");
}

async function run() {
  const mine = begin();
  const asked = question();
  try {
    let part = { shown: 0 };
    do {
      const answer = await askUntilHeard(asked, mine.signal, part.computed);
      // a form with errors, or a login that has run out: the page itself says so
      if (!answer.headers.get("Content-Type")?.startsWith("application/x-ndjson")) return form.submit();
      part = await readAnswer(answer, mine, part.shown);
    } while (part.computed);
  } catch (error) {
    if (running !== mine) return;
    failed.textContent = error.cause ?? broken;
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
