// <details data-chart="id of a table">: once open, the table's numbers (data-n) are a chart that zooms.
const color = (name) => () => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
const charts = new Map();

function draw(box) {
  const table = document.getElementById(box.dataset.chart), host = box.lastElementChild;
  const numbers = ({ cellIndex }) => [...table.tBodies[0].rows].map((row) => row.cells[cellIndex].dataset.n ?? null).map((n) => n && +n);
  const [time, ...columns] = [...table.tHead.rows[0].cells].filter((cell) => cell.dataset.draw);
  const data = [time, ...columns].map(numbers);
  if (charts.has(box)) return charts.get(box).setData(data, false);
  const axis = { stroke: color("quiet"), grid: { stroke: color("line"), width: 1 } };
  const series = columns.map(({ textContent: label, dataset: { draw: kind, color: name } }) => ({
    label, stroke: color(name), spanGaps: true, points: { show: true, fill: color(name) }, ...(kind === "dots" && { paths: () => null }),
  }));
  charts.set(box, new uPlot({ width: host.clientWidth, height: 260, axes: [axis, axis], series: [{}, ...series] }, data, host));
}

const all = () => document.querySelectorAll("[data-chart][open]").forEach(draw);
document.addEventListener("toggle", all, true);
document.addEventListener("htmx:afterSwap", all);
new MutationObserver(() => charts.forEach((chart) => chart.redraw())).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
