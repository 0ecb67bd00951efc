/* Finds garments in the browser itself: no byte of a photo leaves the machine. */

/** An engine is an object with detect(source, name), which gives the garments, and says what it is. */
export async function createEngine(config, askToken, say) {
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  const waiting = new Map();
  let last = 0;

  worker.onmessage = ({ data: { id, result, error } }) => {
    const { done, failed } = waiting.get(id);
    waiting.delete(id);
    if (error) failed(new Error(error));
    else done(result);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    for (const { failed } of waiting.values()) failed(new Error(event.message || "a file of the page is missing"));
    waiting.clear();
  };

  function ask(task, given, transfer = []) {
    return new Promise((done, failed) => {
      waiting.set(++last, { done, failed });
      worker.postMessage({ id: last, task, ...given }, transfer);
    });
  }

  say("Loading the model …");
  const engine = new URLSearchParams(location.search).get("engine");
  const absolute = (path) => new URL(path, location.href).href;
  const files = { model: absolute(config.model), contract: absolute(config.contract) };
  const name = await ask("load", { config: files, engine });
  say("");
  return {
    name: `${config.title}, in this browser (${name})`,
    /** The garments in an image: a Blob as it was given, or an ImageBitmap, which is used up. */
    detect(source) {
      return ask("detect", { source, leastScore: config.least_score }, source instanceof Blob ? [] : [source]);
    },
  };
}
