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

const gallery = document.querySelector(".gallery");
if (gallery) {
  const items = [...gallery.children], filter = document.querySelector(".filter");
  const kind = filter.elements.kind, group = filter.elements.group;
  const choose = () => {
    let shown = 0;
    for (const item of items) {
      const reasons = item.dataset.why.split("|").filter(Boolean).map(why => why.split("/"));
      const fits = reasons.some(([k, g]) => (!kind.value || k === kind.value) && (!group.value || g === group.value));
      item.hidden = !fits;
      shown += fits;
    }
    filter.querySelector("output").textContent = shown === 1 ? "1 picture" : `${shown} pictures`;
  };
  filter.addEventListener("change", choose);
  filter.addEventListener("submit", event => event.preventDefault());
  choose();  // a browser may have kept the choice of an earlier visit

  const viewer = document.querySelector(".viewer"), large = viewer.querySelector("img"), words = viewer.querySelector("p");
  let opened = null;
  const show = item => {
    opened = item;
    const small = item.querySelector("img");
    large.src = small.src;
    large.alt = small.alt;
    words.textContent = item.querySelector("figcaption").innerText.replaceAll("\n", " · ");
  };
  const step = by => {
    const shown = items.filter(item => !item.hidden);
    show(shown[(shown.indexOf(opened) + by + shown.length) % shown.length]);
  };
  for (const item of items) {
    item.querySelector(".open").addEventListener("click", () => { show(item); viewer.showModal(); });
  }
  viewer.querySelector(".before").addEventListener("click", () => step(-1));
  viewer.querySelector(".after").addEventListener("click", () => step(1));
  viewer.addEventListener("keydown", event => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (by) { event.preventDefault(); step(by); }
  });
  viewer.addEventListener("close", () => opened?.querySelector(".open").focus());
}
