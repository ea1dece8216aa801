// A search that answers as one types: the form's answer replaces the part that it names, and the address follows.
import { remember } from "./live.js";

const PAUSE = 250;
let waiting;
let asked = 0;

async function search(form) {
  const part = document.getElementById(form.dataset.search);
  const address = `${window.location.pathname}?${new URLSearchParams(new FormData(form))}`;
  const turn = ++asked;
  const answer = await fetch(address, { headers: { Accept: "text/html" } });
  // a later letter has asked again
  if (turn !== asked || !answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
  if (!fresh) return;
  part.replaceChildren(...fresh.childNodes);
  window.history.replaceState(null, "", address);
  remember();
}

export function searchAsOneTypes() {
  for (const form of document.querySelectorAll("form[data-search]")) {
    form.addEventListener("input", (event) => {
      if (event.target.type !== "search") return;
      clearTimeout(waiting);
      // without an answer the form can still be sent
      waiting = setTimeout(() => search(form).catch(() => {}), PAUSE);
    });
  }
}
