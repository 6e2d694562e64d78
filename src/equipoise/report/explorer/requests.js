// Requests to the worker, and a queue of pictures that drops those that are out of date.

let worker;
const pending = new Map(); // from the id of a request to the functions of its promise
let requests = 0;
const decodeTimes = []; // milliseconds of the latest pictures

/** Start the worker from the code inside this page, because a page from a file may load no other. */
function startWorker() {
  const code = new Blob([byId("worker").textContent], { type: "text/javascript" });
  worker = new Worker(URL.createObjectURL(code));
  worker.onerror = () => showStatus("This browser does not allow the page to start a worker. Use another browser.");
  worker.onmessage = ({ data }) => {
    const { resolve, reject, job } = pending.get(data.id);
    pending.delete(data.id);
    if (job === "decode") decodeTimes.push(data.milliseconds);
    if (data.error) reject(new Error(data.error));
    else resolve(data.result);
  };
}

function request(job, values) {
  const id = ++requests;
  worker.postMessage({ id, job, ...values });
  return new Promise((resolve, reject) => pending.set(id, { resolve, reject, job }));
}

/** Return the pixels [H, W, C] in [0, 1] of a code. */
function decode(code) {
  return request("decode", { code: Float32Array.from(code) });
}

/** Return the posterior mean of pixels [H, W, C] in [0, 1]. */
function encode(pixels) {
  return request("encode", { pixels: Float32Array.from(pixels) });
}

// Pictures to draw, by their place on the page. A newer picture replaces an older one for the same place, so that a
// slider that moves faster than pictures are decoded leaves no queue behind.
const queue = new Map();
let isDrawing = false;

/** Decode `code` and pass the pixels to `show`. The places in FIRST are drawn before the others. */
function draw(place, code, show) {
  queue.set(place, { code: Float32Array.from(code), show });
  if (!isDrawing) drawQueue();
}

const FIRST = ["A", "B", "between"];

async function drawQueue() {
  isDrawing = true;
  try {
    while (queue.size) {
      const place = FIRST.find((name) => queue.has(name)) ?? queue.keys().next().value;
      const { code, show } = queue.get(place);
      queue.delete(place);
      show(await decode(code));
    }
  } finally {
    isDrawing = false; // also after an error, so that the next picture is drawn
  }
  showSpeed();
}

function showSpeed() {
  decodeTimes.splice(0, decodeTimes.length - 25); // the first pictures are slow, while the browser compiles
  const median = decodeTimes.toSorted((a, b) => a - b)[decodeTimes.length >> 1];
  byId("speed").textContent = `Decoding a picture takes ${median.toFixed(1)} ms in this browser.`;
}
