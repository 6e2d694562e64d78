// Asking the worker, and drawing no picture that nobody waits for any more.

let worker;
const waiting = new Map(); // from the number of a question to what its answer resolves
let asked = 0;
const decodeTimes = []; // milliseconds of the last pictures

/** Start the worker from the code inside this page: a page from a file may load no other. */
function startWorker() {
  const code = new Blob([byId("worker").textContent], { type: "text/javascript" });
  const address = URL.createObjectURL(code);
  worker = new Worker(address);
  worker.onerror = () => say("This browser does not let the page start its worker; try another browser.");
  worker.onmessage = ({ data }) => {
    const { resolve, reject, job } = waiting.get(data.id);
    waiting.delete(data.id);
    if (job === "decode") decodeTimes.push(data.milliseconds);
    if (data.error) reject(new Error(data.error));
    else resolve(data.answer);
  };
}

function ask(job, question) {
  const id = ++asked;
  worker.postMessage({ id, job, ...question });
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject, job }));
}

/** The pixels [H, W, C] in [0, 1] of a code. */
function decode(code) {
  return ask("decode", { code: Float32Array.from(code) });
}

/** The posterior mean of pixels [H, W, C] in [0, 1]. */
function encode(pixels) {
  return ask("encode", { pixels: Float32Array.from(pixels) });
}

// Pictures wanted, by the place they are for. A newer wish takes the place of an older one for the same place, so that
// a slider that moves faster than pictures come never leaves a queue behind.
const wanted = new Map();
let drawing = false;

/** Decode `code` when its turn comes and hand the pixels to `show`; places named first in FIRST come first. */
function want(place, code, show) {
  wanted.set(place, { code: Float32Array.from(code), show });
  if (!drawing) drawWanted();
}

const FIRST = ["A", "B", "between"];

async function drawWanted() {
  drawing = true;
  while (wanted.size) {
    const place = FIRST.find((name) => wanted.has(name)) ?? wanted.keys().next().value;
    const { code, show } = wanted.get(place);
    wanted.delete(place);
    show(await decode(code));
  }
  drawing = false;
  sayHowFast();
}

function sayHowFast() {
  decodeTimes.splice(0, decodeTimes.length - 25); // the first ones are slow, while the browser compiles
  const median = decodeTimes.toSorted((a, b) => a - b)[decodeTimes.length >> 1];
  byId("speed").textContent = `Here a picture takes ${median.toFixed(1)} ms to decode.`;
}
