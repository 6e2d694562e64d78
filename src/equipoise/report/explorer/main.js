// The start of the page: load the model, show the images, add the event listeners.

addEventListener("unhandledrejection", ({ reason }) => showStatus(`Error: ${reason.message ?? reason}`));

/** Build the buttons of the run's images. */
function buildSamples(bytes) {
  const values = about.columns ? new Float32Array(bytes.buffer) : Float32Array.from(bytes, (byte) => byte / 255);
  const size = values.length / about.samples.length;
  const samples = about.samples.map((title, n) => {
    return { title, pixels: values.slice(n * size, (n + 1) * size) };
  });
  for (const { title, pixels } of samples) {
    const canvas = element("canvas");
    paint(canvas, pixels, true);
    const onclick = () => chooseActive(title, pixels);
    byId("samples").append(
      element("button", { type: "button", title, "aria-label": `Use ${title}`, onclick }, canvas),
    );
  }
  return samples;
}

async function chooseActive(title, pixels) {
  stop();
  const name = active;
  const error = await choose(name, title, pixels);
  showStatus(`${name} is ${title}. The squared error of its reconstruction is ${error}.`);
}

/** Accept files from the file button and from a drop anywhere on the page. */
function listenForFiles() {
  const [channels, height, width] = about.shape;
  const input = byId("file");
  if (about.columns) {
    byId("own").textContent = "equipoise encode writes the codes of other rows.";
    return;
  }
  if (channels !== 1 && channels !== 3) {
    byId("own").textContent = `Your own images cannot be used: the model takes ${channels} channels.`;
    return;
  }
  const cut = about.crop ? `cropped to a central square of ${about.crop} pixels, ` : "";
  const form = `${cut}resized to ${height} × ${width} pixels${channels === 1 ? " and converted to grey" : ""}`;
  byId("own-words").textContent = `or drop one anywhere on the page. It is ${form}. It does not leave your browser.`;
  input.onchange = () => {
    if (input.files.length) loadFile(input.files[0]);
    input.value = ""; // so that the same file can be chosen again
  };
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) loadFile(event.dataTransfer.files[0]);
  });
}

async function loadFile(file) {
  let pixels;
  try {
    pixels = await pixelsOf(file);
  } catch {
    showStatus(`${file.name} is not an image that this browser can read. Use a PNG or JPEG file.`);
    return;
  }
  await chooseActive(file.name, pixels);
}

async function begin() {
  startWorker();
  const { decoder, encoder } = about;
  const parcel = byId("parcel");
  const bytes = await request("load", { parcel: parcel.textContent, decoder, encoder, link: about.link });
  parcel.remove(); // frees megabytes: the worker has a copy
  const samples = buildSamples(bytes);
  await buildBeta();
  buildSliders();
  buildTraversal();
  listenForFiles();
  byId("blend").oninput = drawBetween;
  for (const name of ["A", "B"]) {
    card(name, "input").onchange = () => {
      stop();
      edit(name);
    };
    const sample = samples[name === "A" ? 0 : samples.length - 1];
    await choose(name, sample.title, sample.pixels);
  }
  edit("A");
  byId("explorer").hidden = false;
  showStatus("Ready.");
}

// For the console: `await explorer.decode(new Float32Array(10))` returns pixels [H, W, C] in [0, 1].
globalThis.explorer = { about, slots, decode, encode, setBeta, ready: begin() };
