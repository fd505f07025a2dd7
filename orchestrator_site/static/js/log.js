// A block's log as it is written: drawn by the server, appended here, resumed at its offset.
import { socketUrl } from "./live.js";
import { showTimes } from "./times.js";

const KEEP = 5000; // lines in the page
const open = new Map(); // element → Tail

export function keepLogs() {
  for (const [element, tail] of open) if (!element.isConnected) { tail.stop(); open.delete(element); }
  for (const element of document.querySelectorAll("[data-log]")) if (!open.has(element)) open.set(element, new Tail(element));
}

class Tail {
  constructor(element) {
    this.element = element;
    this.list = element.querySelector("[role=log] ol");
    this.note = element.querySelector("[data-log-note]");
    this.from = +element.dataset.from || 0;
    this.attempt = element.dataset.attempt;
    this.waiting = [];
    this.again = 500;
    this.follow = element.querySelector("[data-follow]");
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
    url.search = new URLSearchParams({ format: "html", from: this.from, attempt: this.attempt });
    this.wire = new WebSocket(url);
    this.wire.onopen = () => { this.again = 500; this.say("live"); this.drew(); };
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
      this.attempt = message.attempt;
      this.put(message.html);
    } else if (message.type === "attempt") {
      Object.assign(this, { attempt: message.attempt, from: 0 });
      this.put(`<li class="mark">attempt ${+message.attempt}</li>`);
    } else {
      this.draw();
      this.stop();
      this.say(this.list.childElementCount ? "End of the log." : "It wrote nothing.");
    }
  }

  put(html) {
    this.waiting.push(html);
    this.drawn ??= document.hidden ? setTimeout(() => this.draw(), 200) : requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.drawn = undefined;
    this.list.insertAdjacentHTML("beforeend", this.waiting.splice(0).join(""));
    for (let many = this.list.childElementCount - KEEP; many > 0; many--) {
      this.list.firstElementChild.remove();
      this.element.classList.add("cut");
    }
    showTimes(this.list);
    if (this.follow.checked) this.toEnd();
    if (this.wire.readyState === WebSocket.OPEN) this.drew();
  }

  drew() { this.wire.send(this.from); } // no more comes before

  toEnd() {
    this.moving = true;
    this.list.scrollTop = this.list.scrollHeight;
    requestAnimationFrame(() => { // lines now in sight have their true height
      this.list.scrollTop = this.list.scrollHeight;
      requestAnimationFrame(() => { this.moving = false; });
    });
  }

  say(text) { this.note.textContent = text; }
}
