// The start: unpack the net, show the images, listen.

addEventListener("unhandledrejection", ({ reason }) => say(`That did not work: ${reason.message ?? reason}`));

/** The images of the run, to choose from. */
function buildSamples(bytes) {
  const size = bytes.length / about.samples.length;
  const samples = about.samples.map((title, n) => {
    const pixels = Float32Array.from(bytes.subarray(n * size, (n + 1) * size), (byte) => byte / 255);
    return { title, pixels };
  });
  for (const { title, pixels } of samples) {
    const canvas = element("canvas");
    paint(canvas, pixels);
    const description = `Put ${title} into the slot that is edited`;
    const onclick = () => chooseActive(title, pixels);
    byId("samples").append(
      element("button", { type: "button", title, "aria-label": description, onclick }, canvas),
    );
  }
  return samples;
}

async function chooseActive(title, pixels) {
  stop();
  const name = active;
  const error = await choose(name, title, pixels);
  say(`${name} is ${title}; its reconstruction has a squared error of ${error}.`);
}

/** Let files in by the button and by dropping them anywhere. */
function listenForFiles() {
  const [channels, height, width] = about.shape;
  const input = byId("file");
  if (channels !== 1 && channels !== 3) {
    byId("own").textContent = `Own images cannot be used: this net takes ${channels} channels.`;
    return;
  }
  const cut = about.crop ? `cut to a centred square of ${about.crop} pixels, ` : "";
  const form = `${cut}resized to ${height} × ${width} pixels${channels === 1 ? " and made grey" : ""}`;
  byId("own-words").textContent = `or drop one anywhere. It is ${form} in your browser, and goes nowhere.`;
  input.onchange = () => {
    if (input.files.length) take(input.files[0]);
    input.value = ""; // so that the same file can be taken again
  };
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });
}

async function take(file) {
  let pixels;
  try {
    pixels = await pixelsOf(file);
  } catch {
    say(`${file.name} is no picture that this browser can read; try a PNG or JPEG.`);
    return;
  }
  await chooseActive(file.name, pixels);
}

async function begin() {
  startWorker();
  const { decoder, encoder } = about;
  const parcel = byId("parcel");
  const bytes = await ask("load", { parcel: parcel.textContent, decoder, encoder });
  parcel.remove(); // the worker has it; megabytes that nobody reads again
  const samples = buildSamples(bytes);
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
  say("Ready.");
}

// For the console: `await explorer.decode(new Float32Array(10))` gives pixels [H, W, C] in [0, 1].
globalThis.explorer = { about, slots, decode, encode, ready: begin() };
