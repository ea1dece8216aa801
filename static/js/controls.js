// Menus, questions before what cannot be undone, and selects that act at once. The page waits for this small script, as
// a button works from the moment it is seen: the scripts of the charts may come much later.
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
