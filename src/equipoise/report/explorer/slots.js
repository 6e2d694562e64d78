// The two slots A and B: the image in each, its code, and that code as it is being edited.

const about = JSON.parse(byId("about").textContent);
const slots = {}; // of each: title, code (of the image), edited (what is shown)
let active = "A"; // the slot that sliders, images and the traversal work on

const card = (name, part) => byId(`slot-${name}`).querySelector(part);
const image = (name, part) => byId(`image-${name}`).querySelector(part);

/** Put an image into a slot: encode it, and show it beside its reconstruction. */
async function choose(name, title, pixels) {
  const code = await encode(pixels);
  const reconstruction = await decode(code);
  slots[name] = { title, code, edited: code.slice() };
  paint(image(name, ".original"), pixels);
  paint(image(name, ".reconstruction"), reconstruction);
  const error = squaredError(pixels, reconstruction).toFixed(1);
  card(name, ".title").textContent = title;
  image(name, ".title").textContent = title;
  image(name, ".error").textContent = error;
  image(name, ".original").setAttribute("aria-label", `Original of ${name}, ${title}`);
  image(name, ".reconstruction").setAttribute("aria-label", `Reconstruction of ${title}`);
  changed(name);
  return error;
}

/** Make a slot the one that is edited. */
function edit(name) {
  active = name;
  for (const each of ["A", "B"]) {
    byId(`slot-${each}`).classList.toggle("active", each === name);
    card(each, "input").checked = each === name;
  }
  for (const place of document.querySelectorAll(".active-name")) place.textContent = name;
  changed(name);
}

/** Show what follows from a slot's code having changed. */
function changed(name) {
  const { edited, title } = slots[name];
  const canvas = card(name, ".picture");
  want(name, edited, (pixels) => paint(canvas, pixels));
  canvas.setAttribute("aria-label", `Picture ${name}, decoded from the sliders; it began as ${title}`);
  drawBetween();
  if (name === active) {
    showSliders();
    drawStrip();
  }
}

/** The picture whose code lies between those of A and B. */
function drawBetween() {
  if (!slots.A || !slots.B) return;
  const share = Number(byId("blend").value);
  const code = slots.A.edited.map((value, j) => value + share * (slots.B.edited[j] - value));
  const canvas = card("between", ".picture");
  want("between", code, (pixels) => paint(canvas, pixels));
  const percent = `${Math.round(100 * share)} %`;
  const said = `${percent} of the way from A to B`;
  card("between", ".title").textContent = percent;
  canvas.setAttribute("aria-label", `Picture decoded from ${said}`);
  byId("blend").setAttribute("aria-valuetext", said);
}

/** Exchange one latent between A and B. */
function swap(j) {
  const { A, B } = slots;
  [A.edited[j], B.edited[j]] = [B.edited[j], A.edited[j]];
  changed("A");
  changed("B");
  say(`z${j} is ${signed(A.edited[j])} in A and ${signed(B.edited[j])} in B now.`);
}
