// What every page does; the rest is HTML.
import { showTimes } from "./times.js";
import { keepLive } from "./live.js";
import { keepLogs } from "./log.js";

const all = (selector, within, act) => within.querySelectorAll(selector).forEach(act);

// A refresh must not undo what the reader has done to the page.
Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) =>
  !(name === "open" && node.matches("details, dialog"));
Idiomorph.defaults.callbacks.beforeNodeMorphed = (old, fresh) =>
  !(old.dataset && "keep" in old.dataset && old.id === fresh.id);

addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) {
    const dialog = document.getElementById(opener.dataset.opens);
    dialog.showModal();
    htmx.trigger(dialog, "opened");
  }
  const at = event.target.closest("a.at");
  if (at && navigator.clipboard && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    navigator.clipboard.writeText(at.href);
    at.closest("[data-lines]").querySelector("[data-log-note]").textContent = "The link to the line is copied.";
  }
  if (event.target.closest("[data-closes]")) event.target.closest("dialog").close();
  if (event.target.tagName === "DIALOG") event.target.close();
  all("[data-menu][open]", document, (menu) => { menu.open = menu.contains(event.target); });
});

// Another view of the same page: its address is the truth, each look asks for what it says by then.
const show = () => htmx.trigger("#live", "look");
addEventListener("click", (event) => {
  const link = event.target.closest("a[data-swap]");
  if (!link || event.defaultPrevented || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  event.preventDefault();
  history.pushState(null, "", link.getAttribute("href"));
  show();
  if (innerWidth < 992) addEventListener("htmx:afterSwap", () => document.getElementById("block")?.scrollIntoView(), { once: true });
});
addEventListener("popstate", () => { if (document.getElementById("live")) show(); });

document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (detail.elt.id !== "live") return;
  const log = document.querySelector("[data-log]");
  const url = new URL(location);
  // Who does not follow the log stays at the block in view.
  if (log && !log.querySelector("[data-follow]").checked && !url.searchParams.has("block")) url.searchParams.set("block", log.dataset.block);
  detail.path = url.pathname + url.search;
});

// The session has ended: what came is the login page.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (new URL(event.detail.xhr.responseURL).pathname !== "/login/") return;
  event.detail.shouldSwap = false;
  location.reload();
});

addEventListener("keydown", (event) => {
  if (!event.target.closest("input, textarea, select, dialog") && /^\w$/.test(event.key) && !event.ctrlKey && !event.metaKey) document.querySelector(`[data-key="${event.key}"]`)?.click();
  if (event.key === "Escape") document.querySelector("[data-menu][open]")?.removeAttribute("open");
  if (event.key === "/" && !event.target.closest("input, textarea, select, dialog")) {
    const search = document.querySelector("input[type=search]");
    if (search) { event.preventDefault(); search.focus(); }
  }
});

// One press is one request.
addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  setTimeout(() => all("button[type=submit]", event.target, (button) => { button.disabled = true; }));
});
addEventListener("pageshow", () => all("form button:disabled", document, (button) => { button.disabled = false; }));

document.addEventListener("htmx:afterSwap", () => { showTimes(); keepLogs(); });
all(".graph [aria-current] .box", document, (box) => {
  const graph = box.closest(".graph");
  graph.scrollTo(box.x.baseVal.value + 92 - graph.clientWidth / 2, box.y.baseVal.value + 19 - graph.clientHeight / 2);
});
all("dialog[data-open]", document, (dialog) => dialog.showModal());
showTimes();
setInterval(showTimes, 1000);
keepLive();
keepLogs();
