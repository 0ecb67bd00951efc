// A click on an image, or Enter, opens it as large as the screen; arrows lead to those before and after it in the list.
const viewer = document.querySelector(".viewer");
if (viewer) {
  const large = viewer.querySelector(".large"), words = viewer.querySelector("p");
  const openers = [...document.querySelectorAll(".open")];
  let opened = null;
  const show = opener => {
    opened = opener;
    large.replaceChildren(...[...opener.children].map(side => side.cloneNode(true)));
    large.scrollTop = 0;
    words.textContent = opener.closest("figure").querySelector("figcaption").innerText.replaceAll("\n", " · ");
  };
  const step = by => {
    const shown = openers.filter(opener => opener.offsetParent !== null);
    show(shown[(shown.indexOf(opened) + by + shown.length) % shown.length]);
  };
  for (const opener of openers) {
    opener.addEventListener("click", () => { show(opener); viewer.showModal(); });
  }
  viewer.querySelector(".before").addEventListener("click", () => step(-1));
  viewer.querySelector(".after").addEventListener("click", () => step(1));
  viewer.addEventListener("keydown", event => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (by) { event.preventDefault(); step(by); }
  });
  viewer.addEventListener("close", () => opened?.focus());
}
