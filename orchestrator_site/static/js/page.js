// What every page does: times, live regions, dialogs, forms. The rest is HTML.
import { showTimes } from "./times.js";
import { keepLive } from "./live.js";
import { keepLogs } from "./log.js";

// A refresh must not undo what the reader has done to the page.
Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) =>
  !((name === "open" && (node.tagName === "DETAILS" || node.tagName === "DIALOG")) || (name === "scrolltop"));
Idiomorph.defaults.callbacks.beforeNodeMorphed = (old, fresh) =>
  !(old.nodeType === 1 && old.hasAttribute("data-keep") && old.id === fresh.id);

addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens).showModal();
  if (event.target.closest("[data-closes]")) event.target.closest("dialog").close();
  if (event.target.tagName === "DIALOG") event.target.close();
  for (const menu of document.querySelectorAll("[data-menu][open]"))
    if (!menu.contains(event.target)) menu.open = false;
});

// A link to another view of the same page: only the live region is fetched.
const show = (url) => htmx.ajax("GET", url, { target: "#live", swap: "morph:outerHTML" });
addEventListener("click", (event) => {
  const link = event.target.closest("a[data-swap]");
  if (!link || event.defaultPrevented || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  event.preventDefault();
  const url = link.getAttribute("href");
  history.pushState(null, "", url);
  show(url).then(() => { if (innerWidth < 992) document.getElementById("block")?.scrollIntoView(); });
});
addEventListener("popstate", () => { if (document.getElementById("live")) show(location.href); });

// The session has ended: what came is the login page.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (new URL(event.detail.xhr.responseURL).pathname !== "/login/") return;
  event.detail.shouldSwap = false;
  location.reload();
});

addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelector("[data-menu][open]")?.removeAttribute("open");
  if (event.key === "/" && !event.target.closest("input, textarea, select, dialog")) {
    const search = document.querySelector("input[type=search]");
    if (search) { event.preventDefault(); search.focus(); }
  }
});

// One press is one request: the key in the form makes a second one harmless, this makes it impossible.
addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  setTimeout(() => { for (const button of event.target.querySelectorAll("button[type=submit]")) button.disabled = true; });
});
addEventListener("pageshow", () => { for (const button of document.querySelectorAll("form button:disabled")) button.disabled = false; });

document.addEventListener("htmx:afterSwap", () => { showTimes(); keepLogs(); });
for (const graph of document.querySelectorAll(".graph")) {
  const box = graph.querySelector("[aria-current] .box");
  if (box) graph.scrollTo(box.x.baseVal.value - graph.clientWidth / 2 + 90, box.y.baseVal.value - graph.clientHeight / 2 + 20);
}
for (const dialog of document.querySelectorAll("dialog[data-open]")) dialog.showModal();
showTimes();
setInterval(showTimes, 1000);
keepLive();
keepLogs();
