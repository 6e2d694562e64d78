// A traversal: one latent goes from its 5th to its 95th percentile, as a strip of pictures or as an animation.

const STEPS = 11; // pictures of the strip
const CALM_STEP = 1; // seconds for each picture of the strip, where the reader prefers reduced motion

const strip = []; // canvases
let stripKey = ""; // the latent and code that the strip shows
let playing = 0; // the id of the next animation frame

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
}

function traversedLatent() {
  const j = Number(byId("traversed").value);
  return about.latents.find((latent) => latent.index === j);
}

/** Return the codes of the strip, at even steps from low to high. */
function stripCodes({ index, low, high }) {
  return Array.from({ length: STEPS }, (_, i) => {
    const code = slots[active].edited.slice();
    code[index] = low + ((high - low) * i) / (STEPS - 1);
    return code;
  });
}

function drawStrip() {
  const latent = traversedLatent();
  const codes = stripCodes(latent);
  const key = `${latent.index}: ${codes[0]}`;
  if (key === stripKey) return; // the latent of the strip itself has moved
  stripKey = key;
  codes.forEach((code, i) => draw(`strip ${i}`, code, (pixels) => paint(strip[i], pixels, true)));
  byId("low").textContent = signed(latent.low);
  byId("high").textContent = signed(latent.high);
  byId("strip").setAttribute("aria-label", `z${latent.index} from ${signed(latent.low)} to ${signed(latent.high)}`);
}

/** Return the seconds of one period. */
function period() {
  return Number(byId("speed-choice").value);
}

/** Move the latent between low and high without end, from its present value. */
function play() {
  const { index, low, high } = traversedLatent();
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const seconds = isCalm ? 2 * (STEPS - 1) * CALM_STEP : period();
  const share = Math.min(Math.max((slots[active].edited[index] - low) / (high - low), 0), 1);
  const start = performance.now() - (share / 2) * seconds * 1000;
  const step = (now) => {
    const phase = (Math.max(now - start, 0) / 1000 / seconds) % 1;
    const along = phase < 0.5 ? 2 * phase : 2 - 2 * phase;
    set(index, low + (high - low) * (isCalm ? Math.round(along * (STEPS - 1)) / (STEPS - 1) : along));
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
  paint(canvas, await decode(slots[active].edited)); // the canvas on the page may be out of date
  save(await png([canvas], enlargement()), `${about.name}-${active}.png`);
}

async function saveStrip() {
  const latent = traversedLatent();
  const canvases = [];
  for (const code of stripCodes(latent)) {
    canvases.push(element("canvas"));
    paint(canvases.at(-1), await decode(code));
  }
  save(await png(canvases, enlargement()), `${about.name}-z${latent.index}.png`);
}

/** Return the factor by which saved pictures are enlarged. */
function enlargement() {
  return Number(byId("scale").value);
}
