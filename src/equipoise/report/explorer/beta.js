// The slider of beta, for a model that serves a range of them. Pictures follow it while it moves. When it comes to rest,
// the images of both slots are encoded again.

/** Set the beta of encoder and decoder. Requests that follow have it. */
function setBeta(beta) {
  byId("beta-value").value = beta.toPrecision(3);
  byId("beta").setAttribute("aria-valuetext", beta.toPrecision(3));
  return request("setLevel", { level: Math.log(beta) - about.rates.middle });
}

async function buildBeta() {
  if (!about.rates) return;
  const { low, high, beta } = about.rates;
  const [min, max] = [Math.log(low), Math.log(high)];
  const input = byId("beta");
  Object.assign(input, { min, max, step: (max - min) / 200, value: Math.log(beta) });
  const current = () => Math.min(Math.max(Math.exp(input.value), low), high);
  input.oninput = () => {
    setBeta(current());
    stripKey = ""; // the pictures of the same codes change
    update("A");
    update("B");
  };
  input.onchange = encodeAgain;
  await setBeta(beta);
}

/** Encode the images of both slots with the present beta. Latents that were changed keep their values. */
async function encodeAgain() {
  stop();
  for (const name of ["A", "B"]) {
    const { title, pixels, code, edited } = slots[name];
    const before = { code: code.slice(), edited: edited.slice() };
    await choose(name, title, pixels);
    before.edited.forEach((value, j) => {
      if (value !== before.code[j]) slots[name].edited[j] = value;
    });
    update(name);
  }
}
