// A page names its socket on <body data-socket>; each message makes its live regions fetch themselves again.
const PAUSE = 300; // ms between looks: several changes at once are one fetch
const FLOOR = 10_000; // ms between looks while there is no socket
const SLOW = 30_000; // ms between looks while there is one
const SIGNED_OUT = 4401;
let wire, again = 1000, pending, dirty = false, looked = Date.now();

export const socketUrl = (path) => Object.assign(new URL(path, location), { protocol: location.protocol === "https:" ? "wss:" : "ws:" });

function look() {
  clearTimeout(pending);
  pending = undefined;
  if (document.hidden) { dirty = true; return; }
  dirty = false;
  looked = Date.now();
  document.querySelectorAll("[data-live]").forEach((region) => htmx.trigger(region, "look"));
}

function soon() {
  pending ??= setTimeout(look, Math.max(30, looked + PAUSE - Date.now()));
}

function tell(text, state) {
  const badge = document.querySelector("[data-wire]");
  if (badge) Object.assign(badge, { textContent: text, hidden: false, className: `wire wire-${state}` });
}

function connect(path) {
  wire = new WebSocket(socketUrl(path));
  wire.onopen = () => { again = 1000; tell("live", "on"); soon(); };
  wire.onmessage = (event) => { if (JSON.parse(event.data).type === "changed") soon(); };
  wire.onclose = (event) => {
    if (event.code === SIGNED_OUT) return location.reload();
    tell("every 10 s", "off");
    setTimeout(connect, again, path);
    again = Math.min(again * 2, 15_000);
  };
}

export function keepLive() {
  const path = document.body.dataset.socket;
  if (!path) return;
  connect(path);
  addEventListener("visibilitychange", () => { if (!document.hidden && dirty) look(); });
  addEventListener("online", look);
  setInterval(() => {
    const pause = wire.readyState === WebSocket.OPEN ? SLOW : FLOOR;
    if (!document.hidden && Date.now() - looked >= pause) look();
  }, 1000);
}
