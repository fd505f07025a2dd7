// A block's log as it is written: drawn by the server, appended here, resumed at its offset.
import { say } from "./live.js";
import { showTimes } from "./times.js";

const KEEP = 5000; // lines in the page
let tail, log = 0; // the newest following's number: what comes of the one before is late

export function keepLogs() {
  const element = document.querySelector("[data-log]");
  if (element === (tail?.element ?? null)) return;
  if (!element) say({ follow: 0 });
  tail = element && new Tail(element);
}

export const opened = () => tail?.begin();
export const lost = () => tail?.note("Connecting again …");
export const take = (message) => { if (tail && message.log === log) tail.take(message); };

class Tail {
  constructor(element) {
    this.element = element;
    this.list = element.querySelector("[role=log] ol");
    this.from = +element.dataset.from || 0;
    this.attempt = +element.dataset.attempt;
    this.waiting = [];
    this.follow = element.querySelector("[data-follow]");
    this.follow.addEventListener("change", () => this.follow.checked && this.toEnd());
    this.list.addEventListener("scroll", () => {
      const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 24;
      if (atEnd !== this.follow.checked && !this.moving) this.follow.checked = atEnd;
    }, { passive: true });
    this.begin();
  }

  begin() {
    if (!this.done && say({ follow: +this.element.dataset.log, from: this.from, attempt: this.attempt, log: ++log })) this.note("live");
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
      this.note(message.type === "gone" ? "Load the page again to see the log." : this.list.childElementCount ? "End of the log." : "It wrote nothing.");
      this.done = true;
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
    if (this === tail) say({ drawn: this.from, log }); // no more comes before
  }

  toEnd() {
    this.moving = true;
    this.list.scrollTop = this.list.scrollHeight;
    requestAnimationFrame(() => { // lines now in sight have their true height
      this.list.scrollTop = this.list.scrollHeight;
      requestAnimationFrame(() => { this.moving = false; });
    });
  }

  note(text) { if (!this.done) this.element.querySelector("[data-log-note]").textContent = text; }
}
