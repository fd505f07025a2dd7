// A page has one socket, named on <body data-socket>: it says when to look again, and brings the log that is followed.
import { lost, opened, take } from "./log.js";

const FLOOR = 10_000; // ms between looks while there is no socket
const SLOW = 30_000; // ms between looks while there is one
const SIGNED_OUT = 4401;
let wire, again = 500, looked = Date.now();

const isOpen = () => wire?.readyState === WebSocket.OPEN;
export const say = (words) => isOpen() && (wire.send(JSON.stringify(words)), true);

function look() {
  if (document.hidden) return say({ hidden: true }); // it is told again when somebody sees it
  looked = Date.now();
  document.querySelectorAll("[data-live]").forEach((region) => htmx.trigger(region, "look"));
}

function tell(text, state) {
  const badge = document.querySelector("[data-wire]");
  if (badge) Object.assign(badge, { textContent: text, hidden: false, className: `wire wire-${state}` });
}

function connect() {
  wire = new WebSocket(Object.assign(new URL(document.body.dataset.socket, location), { protocol: location.protocol.replace("http", "ws") }));
  wire.onopen = () => {
    again = 500;
    tell("live", "on");
    opened();
  };
  wire.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "changed") setTimeout(look, message.wait); // each: what changed after a look was due is told anew
    else take(message);
  };
  wire.onclose = ({ code }) => {
    if (code === SIGNED_OUT) return location.reload();
    tell("every 10 s", "off");
    lost();
    setTimeout(connect, again * (1 + Math.random()));
    again = Math.min(again * 2, 10_000);
  };
}

export function keepLive() {
  if (!document.body.dataset.socket) return;
  connect();
  addEventListener("visibilitychange", () => say({ hidden: document.hidden }) || look());
  addEventListener("online", look);
  setInterval(() => {
    if (!document.hidden && Date.now() - looked >= (isOpen() ? SLOW : FLOOR)) look();
  }, 1000);
}
