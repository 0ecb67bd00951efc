const entries = [...document.querySelectorAll(".entry")];
const save = document.querySelector("#save");
const at = new Map();

function decided() { return entries.filter(entry => entry.querySelector(".decide input:checked")); }

function count() {
  const done = decided().length;
  save.disabled = !done;
  document.querySelector("#count").textContent = `${done} of ${entries.length} decided`;
}

function decision(entry) {
  return {
    split: entry.dataset.split,
    image_id: Number(entry.dataset.image),
    item: entry.dataset.item,
    decision: entry.querySelector(".decide input:checked").value,
    reason: `${entry.dataset.kind}: ${entry.querySelector(".reason").textContent}`,
    at: at.get(entry),
  };
}

entries.forEach(entry => entry.querySelector(".decide").addEventListener("change", () => {
  at.set(entry, new Date().toISOString());
  count();
}));

save.addEventListener("click", () => {
  const content = {
    format: "deepmark decisions, version 1",
    by: document.querySelector("#by").value,
    decisions: decided().map(decision),
  };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1)], {type: "application/json"}));
  link.download = "decisions.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
});

function go(step) {
  const shown = entries.filter(entry => !entry.hidden);
  const now = shown.indexOf(document.activeElement.closest(".entry"));
  const next = shown[Math.min(shown.length - 1, Math.max(0, now + step))];
  if (next) { next.focus(); next.scrollIntoView({block: "nearest"}); }
}

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.type === "text" || document.querySelector("dialog[open]")) return;
  if (event.key === "j") return go(1);
  if (event.key === "k") return go(-1);
  const word = {w: "wrong", f: "fine", u: "unsure"}[event.key];
  const entry = document.activeElement.closest(".entry");
  if (!word || !entry) return;
  entry.querySelector(`.decide input[value=${word}]`).click();
  go(1);
});

count();
