/* The page: where a photo comes from, what is shown of it, and what can be taken away. */

import { draw, penOf, under } from "./draw.js";

const part = (id) => document.getElementById(id);
const canvas = part("canvas");
const context = canvas.getContext("2d");
const video = part("video");

let config, kinds, engine;
let shown = null; // {image, name, width, height, all: garments}
let lit = null;
let stream = null;
let turn = 0; // of several photos given in a row, the last one is shown

async function start() {
  config = await (await fetch("config.json")).json();
  kinds = new Map(config.categories.map((category) => [category.name, category]));
  part("least").value = config.min_score;
  part("privacy").textContent =
    config.engine === "browser" ? "Photos stay on this device." : "Photos go to this server only, which keeps none.";
  showLeast();
  const { createEngine } = await import(config.engine === "browser" ? "./browser_engine.js" : "./server_engine.js");
  engine = await createEngine(config, askToken, say);
  part("engine").textContent = `DeepMark ${config.version} · ${engine.name}`;
}

const ready = start().catch((error) => complain(`The page cannot start: ${error.message}`));

function say(text) {
  part("status").textContent = text;
}

function complain(text) {
  part("problem").textContent = text;
  if (text) say("");
}

async function askToken() {
  const dialog = part("ask");
  part("token").value = "";
  dialog.showModal();
  await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
  return part("token").value.trim();
}

/** The image of a file, upright; throws an Error that says why there is none. */
async function decode(file) {
  if (!file.size) throw new Error(`${file.name || "This"} is an empty file.`);
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    throw new Error(`${file.name || "This"} is not an image that the browser can read. Try a JPEG, PNG or WebP.`);
  }
}

async function look(file) {
  const mine = ++turn;
  stopCamera();
  complain("");
  part("stage").classList.add("busy");
  say("Looking …");
  try {
    const image = await decode(file);
    if (mine !== turn) return;
    show(image, file.name || "image", []);
    await ready;
    if (!engine) return;
    const started = performance.now();
    const found = await engine.detect(file, file.name || "image");
    if (mine !== turn) return;
    show(image, file.name || "image", found);
    say(`Found in ${Math.round(performance.now() - started)} ms.`);
  } catch (error) {
    if (mine === turn) complain(error.message);
  } finally {
    if (mine === turn) part("stage").classList.remove("busy");
  }
}

function show(image, name, all) {
  shown = { image, name, width: image.width, height: image.height, all };
  lit = null;
  canvas.width = image.width;
  canvas.height = image.height;
  part("empty").hidden = true;
  for (const id of ["canvas", "options", "count", "results"]) part(id).hidden = false;
  list();
  paint();
}

function garments() {
  const least = Number(part("least").value);
  return shown ? shown.all.filter((garment) => garment.score >= least) : [];
}

function paint() {
  if (!shown) return;
  draw(context, shown.image, garments(), kinds, {
    landmarks: part("landmarks").checked,
    names: part("names").checked,
    lit,
  });
}

function list() {
  const found = garments();
  part("count").textContent = found.length === 1 ? "1 garment" : found.length ? `${found.length} garments` : "No garment found";
  const names = found.map((garment) => `${garment.category} ${garment.score.toFixed(2)}`);
  canvas.setAttribute("aria-label", `${shown.name}: ${names.join(", ") || "no garment found"}`);
  part("list").replaceChildren(...found.map(entry));
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function entry(garment, place) {
  const item = element("li");
  const details = element("details");
  const summary = element("summary");
  item.style.setProperty("--color", kinds.get(garment.category).color);
  item.style.setProperty("--share", `${100 * garment.score}%`);
  summary.append(element("span", "", "dot"), element("span", garment.category), element("span", garment.score.toFixed(2), "score"), element("span", "", "bar"));
  const landmarks = element("ol");
  landmarks.tabIndex = 0;
  landmarks.setAttribute("aria-label", `Landmarks of ${garment.category}`);
  for (const [name, [x, y]] of Object.entries(garment.landmarks)) {
    const row = element("li");
    row.append(element("span", name), element("span", `${x.toFixed(0)}, ${y.toFixed(0)}`));
    row.addEventListener("pointerenter", () => light({ garment: place, landmark: name }));
    landmarks.append(row);
  }
  details.append(summary, landmarks);
  item.append(details);
  item.addEventListener("pointerenter", () => light({ garment: place, landmark: null }));
  item.addEventListener("pointerleave", () => light(null));
  summary.addEventListener("focus", () => light({ garment: place, landmark: null }));
  summary.addEventListener("blur", () => light(null));
  return item;
}

function light(next) {
  lit = next;
  [...part("list").children].forEach((item, place) => {
    item.classList.toggle("lit", place === lit?.garment);
    for (const row of item.querySelectorAll("ol li")) {
      row.classList.toggle("lit", place === lit?.garment && row.firstChild.textContent === lit?.landmark);
    }
  });
  paint();
}

function hover(event) {
  if (!shown || stream) return;
  const frame = canvas.getBoundingClientRect();
  const scale = canvas.width / frame.width;
  const [x, y] = [(event.clientX - frame.left) * scale, (event.clientY - frame.top) * scale];
  const found = garments();
  const reach = Math.max(12 * scale, 5 * penOf(canvas.width, canvas.height));
  const next = under(x, y, found, part("landmarks").checked, reach);
  if (next?.garment !== lit?.garment || next?.landmark !== lit?.landmark) light(next);
  const tip = part("tip");
  tip.hidden = !next;
  if (!next) return;
  const garment = found[next.garment];
  tip.textContent = next.landmark
    ? `${next.landmark} · ${garment.landmarks[next.landmark][2].toFixed(2)}`
    : `${garment.category} · ${garment.score.toFixed(2)}`;
  const stage = part("stage").getBoundingClientRect();
  tip.style.left = `${Math.min(event.clientX - stage.left + 14, stage.width - tip.offsetWidth - 6)}px`;
  tip.style.top = `${Math.max(event.clientY - stage.top - 34, 6)}px`;
}

function leave() {
  part("tip").hidden = true;
  if (lit) light(null);
}

async function startCamera() {
  if (stream) return takePhoto();
  complain("");
  if (!navigator.mediaDevices) return complain("The camera needs a page from https or from localhost.");
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
  } catch (error) {
    const why = { NotAllowedError: "The camera may not be used. Allow it in the browser, then try again.", NotFoundError: "No camera was found on this device." };
    return complain(why[error.name] ?? `The camera cannot be used: ${error.message}`);
  }
  video.srcObject = stream;
  await video.play();
  part("camera").textContent = "Take this photo";
  turn += 1;
  await ready;
  const times = [];
  while (stream && engine) {
    const frame = await createImageBitmap(video);
    const found = await engine.detect(await createImageBitmap(frame), "camera").catch((error) => complain(error.message));
    if (!found) stopCamera();
    if (!stream) break;
    show(frame, "camera", found);
    times.push(performance.now());
    if (times.length > 20) times.shift();
    if (times.length > 2) say(`${((times.length - 1) / ((times.at(-1) - times[0]) / 1000)).toFixed(1)} images a second`);
    await new Promise((next) => requestAnimationFrame(next));
  }
}

function takePhoto() {
  stopCamera();
  say("The photo stays until you take another.");
}

function stopCamera() {
  if (!stream) return;
  for (const track of stream.getTracks()) track.stop();
  stream = video.srcObject = null;
  part("camera").textContent = "Use the camera";
}

/** What was found, in the form in which `deepmark serve` answers. */
function asJson() {
  const { name, width, height } = shown;
  return JSON.stringify({ name, width, height, garments: garments() }, null, 2);
}

async function copy() {
  try {
    await navigator.clipboard.writeText(asJson());
    say("Copied.");
  } catch {
    complain("The browser does not allow to copy here. Open the page from https or from localhost.");
  }
}

async function download() {
  const copied = new OffscreenCanvas(canvas.width, canvas.height);
  const options = { landmarks: part("landmarks").checked, names: part("names").checked, lit: null };
  draw(copied.getContext("2d"), shown.image, garments(), kinds, options);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await copied.convertToBlob({ type: "image/jpeg", quality: 0.92 }));
  link.download = `${shown.name.replace(/\.[^.]*$/, "")}-deepmark.jpg`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  say(`Saved as ${link.download}.`);
}

function showLeast() {
  part("least-shown").textContent = Number(part("least").value).toFixed(2);
}

function given(transfer) {
  const file = [...(transfer?.files ?? [])][0];
  if (file) look(file);
  else if (transfer) complain("That was no file. Drop or paste a photo itself, not its address.");
}

part("choose").addEventListener("click", () => part("file").click());
part("file").addEventListener("change", ({ target }) => {
  if (target.files[0]) look(target.files[0]);
  target.value = "";
});
part("camera").addEventListener("click", startCamera);
part("example").addEventListener("click", async () => {
  const answer = await fetch("example.jpg");
  look(new File([await answer.blob()], "example.jpg", { type: "image/jpeg" }));
});
part("least").addEventListener("input", () => {
  showLeast();
  if (shown) list();
  paint();
});
for (const id of ["landmarks", "names"]) part(id).addEventListener("change", paint);
part("copy").addEventListener("click", copy);
part("download").addEventListener("click", download);
canvas.addEventListener("pointermove", hover);
canvas.addEventListener("pointerleave", leave);
document.addEventListener("paste", (event) => given(event.clipboardData));
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    part("stage").classList.toggle("over", name === "dragenter" || name === "dragover");
    if (name === "drop") given(event.dataTransfer);
  });
}
