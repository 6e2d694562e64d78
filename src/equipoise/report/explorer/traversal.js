// One latent from its 5th to its 95th percentile, the others as they are: as a strip, in motion, and as files.

const STEPS = 11; // pictures of a strip
const FRAMES = 21; // pictures of a GIF on the way there; it comes back over the same
const CALM_STEP = 1; // seconds for each of the strip's pictures, for those who asked for less motion

const strip = []; // canvases
let drawn = ""; // what the strip shows
let playing = 0; // the number of the animation frame asked for

function buildTraversal() {
  const select = byId("traversed");
  for (const { index, factor } of about.latents) {
    select.append(element("option", { value: index }, factor === null ? `z${index}` : `z${index} ${factor}`));
  }
  for (let i = 0; i < STEPS; i++) strip.push(element("canvas"));
  byId("strip").append(...strip);
  select.onchange = () => {
    stop();
    drawStrip();
  };
  byId("play").onclick = () => (playing ? stop() : play());
  byId("save-picture").onclick = savePicture;
  byId("save-strip").onclick = saveStrip;
  byId("save-gif").onclick = saveGif;
}

function traversed() {
  const j = Number(byId("traversed").value);
  return about.latents.find((latent) => latent.index === j);
}

/** The codes of `steps` pictures at even steps from low to high. */
function codesOver({ index, low, high }, steps) {
  return Array.from({ length: steps }, (_, i) => {
    const code = slots[active].edited.slice();
    code[index] = low + ((high - low) * i) / (steps - 1);
    return code;
  });
}

function drawStrip() {
  const latent = traversed();
  const codes = codesOver(latent, STEPS);
  if (drawn === `${latent.index}: ${codes[0]}`) return; // moving the latent itself changes nothing
  drawn = `${latent.index}: ${codes[0]}`;
  codes.forEach((code, i) => want(`strip ${i}`, code, (pixels) => paint(strip[i], pixels)));
  byId("low").textContent = signed(latent.low);
  byId("high").textContent = signed(latent.high);
  byId("strip").setAttribute("aria-label", `z${latent.index} from ${signed(latent.low)} to ${signed(latent.high)}`);
}

/** Seconds there and back. */
function period() {
  return Number(byId("speed-choice").value);
}

/** Move the latent there and back, from where it is. */
function play() {
  const { index, low, high } = traversed();
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const seconds = calm ? 2 * (STEPS - 1) * CALM_STEP : period();
  const share = Math.min(Math.max((slots[active].edited[index] - low) / (high - low), 0), 1);
  const start = performance.now() - (share / 2) * seconds * 1000;
  const step = (now) => {
    const phase = (Math.max(now - start, 0) / 1000 / seconds) % 1;
    const along = phase < 0.5 ? 2 * phase : 2 - 2 * phase;
    set(index, low + (high - low) * (calm ? Math.round(along * (STEPS - 1)) / (STEPS - 1) : along));
    playing = requestAnimationFrame(step);
  };
  byId("play").textContent = "Pause";
  playing = requestAnimationFrame(step);
}

function stop() {
  cancelAnimationFrame(playing);
  playing = 0;
  byId("play").textContent = "Play";
}

async function savePicture() {
  const canvas = element("canvas");
  paint(canvas, await decode(slots[active].edited)); // what the screen shows may be a picture behind
  save(await png([canvas], enlarged()), `${about.name}-${active}.png`);
}

async function saveStrip() {
  const latent = traversed();
  const canvases = [];
  for (const code of codesOver(latent, STEPS)) {
    canvases.push(element("canvas"));
    paint(canvases.at(-1), await decode(code));
  }
  save(await png(canvases, enlarged()), `${about.name}-z${latent.index}.png`);
}

async function saveGif() {
  const latent = traversed();
  const [, height, width] = about.shape;
  const scale = enlarged();
  say("Drawing the GIF…");
  const there = [];
  for (const code of codesOver(latent, FRAMES)) {
    there.push(enlargedBytes(shown(await decode(code)), width, height, shownChannels(), scale));
  }
  const frames = [...there, ...there.slice(1, -1).reverse()];
  const delay = Math.max(2, Math.round((100 * period()) / frames.length)); // browsers slow down what is faster
  const bytes = gif(frames, width * scale, height * scale, shownChannels(), delay);
  save(new Blob([bytes], { type: "image/gif" }), `${about.name}-z${latent.index}.gif`);
}

/** By how much saved pictures are enlarged. */
function enlarged() {
  return Number(byId("scale").value);
}

/** A picture with each pixel repeated `scale` times either way. */
function enlargedBytes(bytes, width, height, channels, scale) {
  const out = new Uint8Array(bytes.length * scale * scale);
  for (let y = 0, i = 0; y < height * scale; y++) {
    for (let x = 0; x < width * scale; x++) {
      const from = (Math.floor(y / scale) * width + Math.floor(x / scale)) * channels;
      for (let c = 0; c < channels; c++) out[i++] = bytes[from + c];
    }
  }
  return out;
}
