// The form of an experiment: limits checked while typing, what they mean beside it, rows of variants.
const PAUSE = 250;
const form = document.querySelector("form[data-limits]");

// --- Limits, as the server's table has them (data-low, data-high, ...) ---

function isAllowed(input) {
  const { low, high, lowOpen, step, whole } = input.dataset;
  const value = Number(input.value);
  const above = lowOpen === "true" ? value > Number(low) : value >= Number(low);
  const steps = step ? value / Number(step) : 0;
  return above && value <= Number(high) && Math.abs(steps - Math.round(steps)) < 1e-6 &&
    (whole !== "true" || Number.isInteger(value));
}

function problemOf(input) {
  // text that is no number leaves the value empty
  if (input.validity.badInput) return input.dataset.problem;
  return input.value === "" || isAllowed(input) ? "" : input.dataset.problem;
}

function showProblem(input, problem) {
  const error = document.getElementById(`${input.id}_error`);
  error.textContent = problem;
  error.hidden = !problem;
  if (problem) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
  const described = [`${input.id}_helptext`, ...(problem ? [error.id] : [])];
  input.setAttribute("aria-describedby", described.join(" "));
}

// --- What the settings mean: the server's own words, asked for once the typing pauses ---

function question() {
  const query = new URLSearchParams();
  for (const field of form.querySelectorAll("fieldset :is(input[data-problem], select)")) query.set(field.name, field.value);
  const names = [...form.querySelectorAll("[data-variant-row] input[type=text]")];
  const rows = form.querySelector("[data-variant-rows]");
  query.set("variants", rows ? names.filter((input) => input.value.trim()).length : form.dataset.variants);
  return `${form.dataset.limits}?${query}`;
}

async function showLimits() {
  const asked = question();
  const answer = await fetch(asked, { headers: { Accept: "text/html" } });
  // a later question has its own answer
  if (!answer.ok || answer.redirected || asked !== question()) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  form.querySelector("[data-limits-card]").replaceChildren(...fresh.body.childNodes);
}

let waiting;
function showLimitsSoon() {
  clearTimeout(waiting);
  // without an answer the card stays as it is; saving checks everything again
  waiting = setTimeout(() => showLimits().catch(() => {}), PAUSE);
}

// --- Rows of variants ---

function prepare(row) {
  row.querySelector("[data-remove-variant]").hidden = false;
}

function addVariant() {
  const total = form.querySelector("[name=form-TOTAL_FORMS]");
  const template = form.querySelector("[data-variant-template]");
  const rows = form.querySelector("[data-variant-rows]");
  rows.insertAdjacentHTML("beforeend", template.innerHTML.replaceAll("__prefix__", total.value));
  total.value = Number(total.value) + 1;
  prepare(rows.lastElementChild);
  rows.lastElementChild.querySelector("input[type=text]").focus();
}

// Someone must be the control: taken away, it passes to the first row.
function removeVariant(button) {
  const row = button.closest("[data-variant-row]");
  const wasControl = row.querySelector("input[type=radio]").checked;
  row.remove();
  const first = form.querySelector("[data-variant-row] input[type=radio]");
  if (wasControl && first) first.checked = true;
  form.querySelector("[data-add-variant]").focus();
}

function click(event) {
  if (event.target.closest("[data-add-variant]")) {
    event.preventDefault();
    addVariant();
  }
  const remove = event.target.closest("[data-remove-variant]");
  if (remove) {
    removeVariant(remove);
    showLimitsSoon();
  }
}

if (form) {
  form.addEventListener("input", (event) => {
    if (event.target.dataset.problem) showProblem(event.target, problemOf(event.target));
    showLimitsSoon();
  });
  form.addEventListener("click", click);
  for (const row of form.querySelectorAll("[data-variant-row]")) prepare(row);
}
(document.querySelector("[aria-invalid]") ?? document.querySelector("[data-focus]"))?.focus();
