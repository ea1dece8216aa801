// A day is edited where it stands. Without scripts the same link leads to the same form on a page of its own.
const before = new Map();

async function edit(link) {
  const answer = await fetch(link.href, { headers: { Accept: "text/html" } });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const form = fresh.getElementById(link.dataset.editDay);
  // logged out, or closed meanwhile: the page itself says so
  if (!answer.ok || answer.redirected || !form) return window.location.assign(link.href);
  const shown = document.getElementById(link.dataset.editDay);
  before.set(form.id, shown);
  shown.replaceWith(form);
  form.querySelector("[data-count]").select();
}

function cancel(id) {
  const shown = before.get(id);
  if (!shown) return false;
  document.getElementById(id).replaceWith(shown);
  before.delete(id);
  shown.querySelector("[data-edit-day]").focus();
  return true;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-edit-day]");
  if (link && !event.metaKey && !event.ctrlKey) {
    event.preventDefault();
    edit(link).catch(() => window.location.assign(link.href));
  }
  const back = event.target.closest("[data-cancel-day]");
  if (back && cancel(back.dataset.cancelDay)) event.preventDefault();
});

document.addEventListener("keydown", (event) => {
  const edited = event.key === "Escape" && event.target.closest("tbody.is-edited");
  if (edited) cancel(edited.id);
});

// A file that is too large is not sent at all.
document.addEventListener("change", (event) => {
  const { mostBytes, problem } = event.target.dataset;
  if (!mostBytes) return;
  const error = document.getElementById(`${event.target.id}_error`);
  error.hidden = !(event.target.files[0]?.size > Number(mostBytes));
  error.textContent = error.hidden ? "" : problem;
  event.target.setCustomValidity(error.textContent);
  if (error.hidden) event.target.removeAttribute("aria-invalid");
  else event.target.setAttribute("aria-invalid", "true");
});
document.addEventListener("submit", (event) => {
  const file = event.target.querySelector("[data-most-bytes]");
  if (file?.validity.customError) {
    event.preventDefault();
    file.focus();
  }
});

// The calendar begins with its oldest week; what is looked for is most often the latest.
const calendar = document.querySelector("[data-calendar]");
if (calendar) calendar.scrollLeft = calendar.scrollWidth;

const first = ["[aria-invalid]", "[data-focus]", "[data-day-form] input:not([type=hidden])", "[data-count]"];
first.map((selector) => document.querySelector(selector)).find(Boolean)?.focus();
