// A block's log as it is written: a list of lines, resumed at its offset.
import { paint } from "./ansi.js";
import { socketUrl } from "./live.js";

const KEEP = 5000; // lines in the page
const LONG = 4000; // characters of a line that are shown at once
const SOURCES = { stdout: "out", stderr: "err", system: "sys", WARNING: "warn", CRITICAL: "crit" };
const open = new Map(); // element → Tail

export function keepLogs() {
  for (const [element, tail] of open) if (!element.isConnected) { tail.stop(); open.delete(element); }
  for (const element of document.querySelectorAll("[data-log]")) if (!open.has(element)) open.set(element, new Tail(element));
}

class Tail {
  constructor(element) {
    this.element = element;
    this.list = element.querySelector("[role=log]");
    this.note = element.querySelector("[data-log-note]");
    this.from = +element.dataset.from || 0;
    this.attempt = element.dataset.attempt;
    this.waiting = [];
    this.dropped = this.from > 0;
    this.again = 500;
    this.follow = element.querySelector("[data-follow]");
    const wrap = element.querySelector("[data-wrap]");
    wrap.addEventListener("change", () => this.list.classList.toggle("wrap", wrap.checked));
    this.follow.addEventListener("change", () => this.follow.checked && this.toEnd());
    this.list.addEventListener("scroll", () => {
      const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 24;
      if (atEnd !== this.follow.checked && !this.moving) this.follow.checked = atEnd;
    }, { passive: true });
    this.connect();
  }

  stop() { this.done = true; this.wire?.close(); }

  connect() {
    const url = socketUrl(this.element.dataset.log);
    url.searchParams.set("from", this.from);
    if (this.attempt) url.searchParams.set("attempt", this.attempt);
    this.wire = new WebSocket(url);
    this.wire.onopen = () => { this.again = 500; this.say("live"); };
    this.wire.onmessage = (event) => this.take(JSON.parse(event.data));
    this.wire.onclose = (event) => {
      if (this.done) return;
      if (event.code >= 4400 && event.code < 4500) return this.say("Load the page again to see the log.");
      this.say("Connecting again …");
      setTimeout(() => this.done || this.connect(), this.again);
      this.again = Math.min(this.again * 2, 10_000);
    };
  }

  take(message) {
    if (message.type === "lines") {
      this.from = message.next;
      this.attempt = message.attempt ?? this.attempt;
      this.waiting.push(...message.lines);
      this.drawn ??= document.hidden ? setTimeout(() => this.draw(), 200) : requestAnimationFrame(() => this.draw());
    } else if (message.type === "attempt") {
      this.draw();
      Object.assign(this, { attempt: message.attempt, from: 0 });
      this.list.append(part("li", "mark", `attempt ${message.attempt}`));
    } else if (message.type === "end") {
      this.draw();
      this.done = true;
      this.wire.close();
      this.say(this.list.childElementCount ? "End of the log." : "It wrote nothing.");
    }
  }

  draw() {
    this.drawn = undefined;
    let lines = this.waiting;
    this.waiting = [];
    if (lines.length > KEEP) { lines = lines.slice(-KEEP); this.dropped = true; }
    const batch = document.createDocumentFragment();
    for (const line of lines) batch.append(row(line));
    this.list.append(batch);
    while (this.list.childElementCount > KEEP) { this.list.firstElementChild.remove(); this.dropped = true; }
    this.element.classList.toggle("cut", this.dropped);
    if (this.follow.checked) this.toEnd();
  }

  toEnd() {
    this.moving = true;
    this.list.scrollTop = this.list.scrollHeight;
    requestAnimationFrame(() => { this.moving = false; });
  }

  say(text) { this.note.textContent = text; }
}

function part(tag, name, text) {
  return Object.assign(document.createElement(tag), { className: name, textContent: text });
}

function row(line) {
  const item = part("li", `l-${line.l || "INFO"} s-${line.s}`, "");
  const at = new Date(line.t);
  const time = part("time", "", line.t && `${at.toLocaleTimeString("en-GB")}.${String(at.getMilliseconds()).padStart(3, "0")}`);
  time.title = `${line.t} (${line.s}, ${line.l})`;
  const source = SOURCES[line.s] ?? SOURCES[line.l] ?? line.l.toLowerCase();
  const text = part("span", "text", "");
  paint(line.m.slice(0, LONG), text);
  if (line.m.length > LONG) {
    const more = part("button", "", `… ${(line.m.length - LONG).toLocaleString()} more characters`);
    more.onclick = () => { text.textContent = ""; paint(line.m, text); };
    text.append(more);
  }
  item.append(time, part("span", "src", source), text);
  return item;
}
