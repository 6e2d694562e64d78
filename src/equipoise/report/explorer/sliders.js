// A slider for each latent, sorted by information. Inactive latents are folded away.

const rows = []; // each has latent, input, output

/**
 * Return the ends of a slider: a quarter of the range beyond the 5th and 95th percentile. The style sheet colours the
 * track between these percentiles.
 */
function ends({ low, high }) {
  const margin = (high - low) / 4;
  return [low - margin, high + margin];
}

function buildSliders() {
  const inactive = about.latents.filter((latent) => !latent.active);
  for (const latent of about.latents) byId(latent.active ? "active-latents" : "idle-latents").append(sliderRow(latent));
  byId("idle").hidden = !inactive.length;
  byId("idle").open = inactive.length === about.latents.length;
  byId("idle-summary").textContent = inactive.length === 1 ? "1 inactive latent" : `${inactive.length} inactive latents`;
  byId("collapsed").hidden = inactive.length < about.latents.length;
  byId("reset-all").onclick = () => {
    stop();
    slots[active].edited = slots[active].code.slice();
    update(active);
    showStatus(`All latents of ${active} are reset to the code of ${slots[active].title}.`);
  };
}

function sliderRow(latent) {
  const j = latent.index;
  const name = `z${j}`;
  const [min, max] = ends(latent);
  const input = element("input", { type: "range", id: name, min, max, step: (max - min) / 200 });
  input.setAttribute("aria-describedby", `${name}-words`);
  input.oninput = () => {
    stop(); // moving a slider ends the animation
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
    button("Reset", `Reset ${name}`, () => {
      stop();
      set(j, slots[active].code[j]);
    }),
    button("Swap A, B", `Swap A, B: ${name}`, () => swap(j)),
    element("p", { id: `${name}-words`, className: "quiet" }, words),
  );
}

function button(text, description, onclick) {
  return element("button", { type: "button", "aria-label": description, title: description, onclick }, text);
}

/** Set one latent of the active slot. */
function set(j, value) {
  slots[active].edited[j] = value;
  update(active);
}

/** Move the sliders to the code of the active slot. A code beyond the end of its slider keeps its value. */
function showSliders() {
  for (const { latent, input, output } of rows) {
    const value = slots[active].edited[latent.index];
    input.value = value;
    input.setAttribute("aria-valuetext", signed(value));
    output.value = signed(value);
  }
}
