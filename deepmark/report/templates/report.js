"use strict";

// A click on a heading sorts its table: numbers by value, unknown ones last, words by letter.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0], before = [...body.rows];
  const value = (row, i) => {
    const text = row.cells[i].firstChild?.textContent.trim() ?? "", number = Number(text.replaceAll(",", ""));
    return text === "–" || text === "" ? null : Number.isNaN(number) ? text : number;
  };
  const order = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", {numeric: true});
  heads.forEach((head, i) => head.querySelector("button").addEventListener("click", () => {
    const rows = before.map(row => [value(row, i), row]);
    const first = rows.some(([v]) => typeof v === "number") ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const now = head.getAttribute("aria-sort") === first ? other : first;
    const sign = now === "ascending" ? 1 : -1;
    rows.sort(([a], [b]) => a === null || b === null ? (a === null) - (b === null) : sign * order(a, b));
    heads.forEach(each => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", now);
    body.append(...rows.map(([, row]) => row));
  }));
}

// The choice of images; without one, a few, and a button for the rest.
const gallery = document.querySelector(".gallery");
if (gallery) {
  const items = [...gallery.children], filter = document.querySelector(".filter");
  const kind = filter.elements.kind, group = filter.elements.group;
  const more = document.createElement("button");
  more.type = "button";
  more.className = "more";
  more.textContent = `Show all ${items.length}`;
  more.addEventListener("click", () => { gallery.classList.remove("few"); more.hidden = true; });
  gallery.after(more);
  const choose = () => {
    const fitting = items.filter(item => {
      const reasons = item.dataset.why.split("|").filter(Boolean).map(why => why.split("/"));
      return reasons.some(([k, g]) => (!kind.value || k === kind.value) && (!group.value || g === group.value));
    });
    items.forEach(item => { item.hidden = !fitting.includes(item); });
    more.hidden = Boolean(kind.value || group.value) || items.length <= 3;
    gallery.classList.toggle("few", !more.hidden);
    filter.querySelector("output").textContent = fitting.length === 1 ? "1 image" : `${fitting.length} images`;
  };
  filter.addEventListener("change", choose);
  filter.addEventListener("submit", event => event.preventDefault());
  choose();  // a browser may have kept the choice of an earlier visit
}
