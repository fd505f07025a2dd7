// Times in the viewer's zone, of which the server is told; exact UTC on hover.
const two = (number) => String(number).padStart(2, "0");
const clock = (at) => `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
const day = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "local time";
const told = () => document.cookie.includes(`zone=${zone}`);
const knew = told();
document.cookie = `zone=${zone};path=/;max-age=31536000;samesite=lax`;
if (!knew && told()) location.reload(); // what the server wrote is in another zone

export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

function relative(at, now) {
  const seconds = (at - now) / 1000;
  const size = Math.abs(seconds);
  if (seconds <= 0 && size < 2) return "now";
  const words = size < 60 ? `${Math.floor(size)} s` : size < 3600 ? (seconds > 0 ? duration(size) : `${Math.floor(size / 60)} min`)
    : size < 172800 ? `${Math.floor(size / 3600)} h ${two(Math.floor((size % 3600) / 60))} min` : `${Math.floor(size / 86400)} d`;
  return seconds > 0 ? `in ${words}` : `${words} ago`;
}

const styles = {
  ago: relative,
  beside: (at, now, element) => `${day(at) === element.dataset.day ? "" : `${day(at).slice(5)} `}${clock(at).slice(0, 5)}`,
  clock: (at) => `${day(at)} ${clock(at)}`,
  log: (at) => `${clock(at)}.${String(at.getMilliseconds()).padStart(3, "0")}`,
  time: (at, now) => (day(at) === day(new Date(now)) ? clock(at) : `${day(at)} ${clock(at)}`),
};

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function showTimes(within = document) {
  if (document.hidden) return;
  const now = Date.now();
  for (const element of within.querySelectorAll("time[data-style]")) {
    const at = new Date(element.dateTime);
    if (isNaN(at)) continue;
    put(element, styles[element.dataset.style](at, now, element));
    const utc = at.toISOString().replace("T", " ").replace(".000Z", "").replace("Z", "");
    const title = `${day(at)} ${clock(at)} ${zone}\n${utc} UTC`;
    if (element.title !== title) element.title = title;
    if (element.dataset.style === "log") delete element.dataset.style; // once: there are thousands
  }
  for (const element of document.querySelectorAll("[data-zone]")) put(element, zone);
  for (const element of document.querySelectorAll("[data-since]"))
    put(element, duration((now - new Date(element.dataset.since)) / 1000));
}
