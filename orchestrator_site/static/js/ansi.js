// Terminal text as safe nodes: colors become classes, every other sequence is dropped.
const OTHER = /\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|$)|\x1b[PX^_][^\x1b]*(?:\x1b\\|$)|\x1b\[[0-?]*[ -/]*[@-ln-~]|\x1b(?!\[)[ -/]*[0-~]?|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]/g;
const COLOR = /\x1b\[([0-9;:]*)m/;

function apply(codes, style) {
  for (let i = 0; i < codes.length; i++) {
    const code = +codes[i] || 0;
    if (code === 0) style.clear();
    else if (code === 1) style.set("bold", "a-bold");
    else if (code === 2) style.set("dim", "a-dim");
    else if (code === 3) style.set("italic", "a-italic");
    else if (code === 4) style.set("under", "a-under");
    else if (code === 22) { style.delete("bold"); style.delete("dim"); }
    else if (code === 23) style.delete("italic");
    else if (code === 24) style.delete("under");
    else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) style.set("color", `a-${code % 10}${code >= 90 ? "b" : ""}`);
    else if (code === 38 || code === 48) i += codes[i + 1] === "5" ? 2 : 4; // 256 and 24-bit colors: not shown
    else if (code === 39) style.delete("color");
  }
}

export function paint(text, into) {
  const last = text.split("\r").filter(Boolean).pop() ?? ""; // a progress bar writes over itself
  const style = new Map();
  last.replace(OTHER, "").split(COLOR).forEach((part, index) => {
    if (index % 2) return apply(part.split(/[;:]/), style);
    if (!part) return;
    if (!style.size) return into.append(part);
    const span = document.createElement("span");
    span.className = [...style.values()].join(" ");
    span.textContent = part;
    into.append(span);
  });
}
