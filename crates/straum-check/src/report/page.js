// Lets a pointer read the charts. The report says all it has to say without this.
"use strict";
(() => {
  const reader = document.getElementById("reader");
  const SVG = "http://www.w3.org/2000/svg";
  const told = (value, unit) => {
    if (value === null) return "–";
    if (unit === "ms" && value >= 1000) return (value / 1000).toPrecision(3) + " s";
    const text = value >= 1000 ? Math.round(value).toLocaleString("en") : String(+value.toPrecision(3));
    return unit === "ms" ? text + " ms" : text + unit;
  };
  for (const svg of document.querySelectorAll("svg[data-read]")) {
    const chart = JSON.parse(svg.dataset.read);
    const count = chart.series[0][1].length;
    const cursor = svg.appendChild(document.createElementNS(SVG, "path"));
    cursor.setAttribute("class", "cursor");
    const leave = () => { reader.hidden = true; cursor.removeAttribute("d"); };
    svg.addEventListener("pointerleave", leave);
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const x = (event.clientX - box.left) * chart.width / box.width;
      const share = (x - chart.left) / (chart.right - chart.left);
      if (share < 0 || share > 1) return leave();
      const place = Math.min(Math.floor(share * chart.end_s * 1000 / chart.bucket_ms), count - 1);
      cursor.setAttribute("d", `M${x} ${chart.top}V${chart.bottom}`);
      const lines = chart.series.map(([name, values]) => `${name}  ${told(values[place], chart.unit)}`);
      reader.textContent = [`${(place * chart.bucket_ms / 1000).toFixed(2)} s`, ...lines].join("\n");
      reader.hidden = false;
      const left = Math.min(event.clientX + 14, innerWidth - reader.offsetWidth - 8);
      reader.style.transform = `translate(${left}px, ${event.clientY + 14}px)`;
    });
  }
})();
