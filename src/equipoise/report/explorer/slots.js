// The two slots A and B: each has an image, the code of the image, and an edited copy of the code.

const about = JSON.parse(byId("about").textContent);
const slots = {}; // each has title, pixels and code (of the image), and edited (the code of its picture)
let active = "A"; // the slot that sliders, images and traversal change

const card = (name, part) => byId(`slot-${name}`).querySelector(part);
const image = (name, part) => byId(`image-${name}`).querySelector(part);

/** Put an image into a slot: encode it and show it with its reconstruction. */
async function choose(name, title, pixels) {
  const code = await encode(pixels);
  const reconstruction = await decode(code);
  slots[name] = { title, pixels, code, edited: code.slice() };
  paint(image(name, ".original"), pixels, true);
  paint(image(name, ".reconstruction"), reconstruction, true);
  const error = squaredError(pixels, reconstruction).toFixed(1);
  card(name, ".title").textContent = title;
  image(name, ".title").textContent = title;
  image(name, ".error").textContent = error;
  image(name, ".original").setAttribute("aria-label", `Original of ${name}, ${title}`);
  image(name, ".reconstruction").setAttribute("aria-label", `Reconstruction of ${title}`);
  update(name);
  return error;
}

/** Make a slot the active one. */
function edit(name) {
  active = name;
  for (const each of ["A", "B"]) {
    byId(`slot-${each}`).classList.toggle("active", each === name);
    card(each, "input").checked = each === name;
  }
  for (const place of document.querySelectorAll(".active-name")) place.textContent = name;
  update(name);
}

/** Update the page after the code of a slot has changed. */
function update(name) {
  const { edited, title } = slots[name];
  const canvas = card(name, ".picture");
  draw(name, edited, (pixels) => paint(canvas, pixels));
  canvas.setAttribute("aria-label", `Picture ${name}, decoded from the sliders, at first from ${title}`);
  drawBetween();
  if (name === active) {
    showSliders();
    drawStrip();
  }
}

/** Draw the picture of a code between those of A and B. */
function drawBetween() {
  if (!slots.A || !slots.B) return;
  const share = Number(byId("blend").value);
  const code = slots.A.edited.map((value, j) => value + share * (slots.B.edited[j] - value));
  const canvas = card("between", ".picture");
  draw("between", code, (pixels) => paint(canvas, pixels));
  const percent = `${Math.round(100 * share)} %`;
  const place = `${percent} of the way from A to B`;
  card("between", ".title").textContent = percent;
  canvas.setAttribute("aria-label", `Picture decoded from ${place}`);
  byId("blend").setAttribute("aria-valuetext", place);
}

/** Exchange one latent between A and B. */
function swap(j) {
  stop();
  const { A, B } = slots;
  [A.edited[j], B.edited[j]] = [B.edited[j], A.edited[j]];
  update("A");
  update("B");
  showStatus(`z${j} is now ${signed(A.edited[j])} in A and ${signed(B.edited[j])} in B.`);
}
