/* Runs the network in a thread of its own, so that the page stays quick: WebGPU where there is one, else WebAssembly. */

import { garmentsOf } from "./garments.js";
import { letterbox, rgbOf } from "./letterbox.js";

const MOST_THREADS = 4;
const DECODED = { imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none" };

let ort, session, contract, pencil;

/** The name of what computes. */
async function load({ config, engine }) {
  const model = fetch(config.model).then((answer) => checked(answer).arrayBuffer());
  contract = await fetch(config.contract).then((answer) => checked(answer).json());
  const bytes = new Uint8Array(await model);
  if (engine !== "wasm" && (await hasGpu(engine === "webgpu"))) {
    try {
      await open("ort.webgpu.min.mjs", "webgpu", bytes);
      return "WebGPU";
    } catch (error) {
      if (engine === "webgpu") throw error;
    }
  }
  await open("ort.wasm.min.mjs", "wasm", bytes);
  const threads = ort.env.wasm.numThreads;
  return `WebAssembly, ${threads === 1 ? "1 thread" : `${threads} threads`}`;
}

function checked(answer) {
  if (!answer.ok) throw new Error(`${new URL(answer.url).pathname} is missing on the server (status ${answer.status})`);
  return answer;
}

/** Whether there is a GPU; one that software imitates is slower than WebAssembly, and counts only where it is asked for. */
async function hasGpu(any) {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter) && (any || !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter));
}

async function open(file, provider, model) {
  ort = await import(new URL(`ort/${file}`, import.meta.url));
  ort.env.wasm.wasmPaths = new URL("ort/", import.meta.url).href;
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
  ort.env.logLevel = "error";
  session = await ort.InferenceSession.create(model, { executionProviders: [provider], logSeverityLevel: 3 });
  const [height, width] = contract.input_size;
  await run(new Uint8Array(3 * height * width)); // the first run compiles
}

async function run(canvas) {
  const [height, width] = contract.input_size;
  const name = contract.inputs[0].name;
  const outputs = await session.run({ [name]: new ort.Tensor("uint8", canvas, [1, height, width, 3]) });
  const taken = {};
  for (const [key, tensor] of Object.entries(outputs)) {
    taken[key] = tensor.data;
  }
  return taken;
}

async function detect({ source, leastScore }) {
  const image = source instanceof Blob ? await createImageBitmap(source, DECODED) : source;
  const { width, height } = image;
  pencil ??= new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  [pencil.canvas.width, pencil.canvas.height] = [width, height];
  pencil.fillStyle = "#ffffff";
  pencil.fillRect(0, 0, width, height); // transparent pixels show a white ground
  pencil.drawImage(image, 0, 0);
  image.close();
  const pixels = { data: rgbOf(pencil.getImageData(0, 0, width, height).data), width, height };
  const placed = letterbox(pixels, ...contract.input_size);
  return garmentsOf(await run(placed.data), placed, pixels, contract, leastScore);
}

const TASKS = { load, detect };

self.onmessage = async ({ data: { id, task, ...given } }) => {
  try {
    self.postMessage({ id, result: await TASKS[task](given) });
  } catch (error) {
    self.postMessage({ id, error: error.message || String(error) });
  }
};
