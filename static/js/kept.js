// What was typed into a form is kept where the server could not take it: the session had expired, or an error came.
// It stays in this tab until the form has been sent, and holds no password and no file. The page waits for this small
// script: a person may leave a page before those of the charts have come.
const PREFIX = "kept:";
const LEFT_OUT = ["password", "hidden", "file", "submit", "button"];

function keyOf(url) {
  const { pathname, search } = new URL(url, window.location.href);
  return PREFIX + pathname + search;
}

function fieldsOf(form) {
  return [...form.elements].filter((field) => field.name && !LEFT_OUT.includes(field.type));
}

function stateOf(field) {
  return ["checkbox", "radio"].includes(field.type) ? field.checked : field.value;
}

function keep(form) {
  const values = fieldsOf(form).map((field) => [field.name, field.value, stateOf(field)]);
  if (values.length) sessionStorage.setItem(keyOf(form.action), JSON.stringify(values));
}

function fill(form, values) {
  for (const [name, value, state] of values) {
    for (const field of fieldsOf(form).filter((own) => own.name === name)) {
      if (!["checkbox", "radio"].includes(field.type)) field.value = state;
      else if (field.value === value) field.checked = state;
    }
  }
  const note = document.getElementById("kept-note")?.content.cloneNode(true);
  if (note) document.getElementById("content").prepend(note);
}

function keptKeys() {
  return Object.keys(sessionStorage).filter((key) => key.startsWith(PREFIX));
}

function restore() {
  // A page after the form was taken, or was refused and shown again as it was typed.
  if (!sessionStorage.getItem("input-lost")) return keptKeys().forEach((key) => sessionStorage.removeItem(key));
  for (const key of keptKeys()) {
    const form = [...document.forms].find((own) => own.method === "post" && keyOf(own.action) === key);
    const link = [...document.links].find((own) => keyOf(own.href) === key);
    if (!form && link) return window.location.assign(link.href);
    if (!form) continue;
    fill(form, JSON.parse(sessionStorage.getItem(key)));
    sessionStorage.removeItem("input-lost");
  }
}

const isLost = document.querySelector("meta[name=input-lost]") !== null;

document.addEventListener("submit", (event) => {
  if (event.target.method === "post" && !isLost) keep(event.target);
});

if (!isLost) document.addEventListener("DOMContentLoaded", restore);
else if (keptKeys().length) sessionStorage.setItem("input-lost", "yes");
