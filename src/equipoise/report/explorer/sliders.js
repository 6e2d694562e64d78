// A slider for each latent, those that carry most first; collapsed ones behind a fold.

const rows = []; // of each: latent, input, output

/**
 * Where a slider ends: a quarter of the range beyond its 5th and 95th percentile, between which the style sheet colours
 * its track.
 */
function ends({ low, high }) {
  const more = (high - low) / 4;
  return [low - more, high + more];
}

function buildSliders() {
  const idle = about.latents.filter((latent) => !latent.active);
  for (const latent of about.latents) byId(latent.active ? "active-latents" : "idle-latents").append(sliderRow(latent));
  byId("idle").hidden = !idle.length;
  byId("idle").open = idle.length === about.latents.length;
  byId("idle-summary").textContent =
    idle.length === 1 ? "1 latent that carries nothing" : `${idle.length} latents that carry nothing`;
  byId("collapsed").hidden = idle.length < about.latents.length;
  byId("reset-all").onclick = () => {
    slots[active].edited = slots[active].code.slice();
    changed(active);
    say(`All latents of ${active} are those of ${slots[active].title} again.`);
  };
}

function sliderRow(latent) {
  const j = latent.index;
  const name = `z${j}`;
  const [min, max] = ends(latent);
  const input = element("input", { type: "range", id: name, min, max, step: (max - min) / 200 });
  input.setAttribute("aria-describedby", `${name}-words`);
  input.oninput = () => {
    stop(); // a hand on the slider ends an animation
    set(j, Number(input.value));
  };
  const output = element("output", { for: name });
  rows.push({ latent, input, output });
  const label = element("label", { for: name }, element("b", {}, name));
  if (latent.factor !== null) label.append(" ", element("span", { className: "factor" }, latent.factor));
  const words = `${latent.nats.toFixed(2)} nats${latent.words ? `; ${latent.words}` : ""}`;
  return element(
    "div",
    { className: "slider" },
    label,
    output,
    input,
    button("reset", `Reset ${name}`, () => set(j, slots[active].code[j])),
    button("swap A, B", `Swap ${name} between A and B`, () => swap(j)),
    element("p", { id: `${name}-words`, className: "quiet" }, words),
  );
}

function button(text, description, onclick) {
  return element("button", { type: "button", "aria-label": description, title: description, onclick }, text);
}

/** Set one latent of the slot that is edited. */
function set(j, value) {
  slots[active].edited[j] = value;
  changed(active);
}

/** Bring the sliders to the code of the slot that is edited. A code beyond its slider's end keeps its value. */
function showSliders() {
  for (const { latent, input, output } of rows) {
    const value = slots[active].edited[latent.index];
    input.value = value;
    input.setAttribute("aria-valuetext", signed(value));
    output.value = signed(value);
  }
}
