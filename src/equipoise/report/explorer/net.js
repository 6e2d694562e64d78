// The forward pass of encoder and decoder. Images and activations are Float32Arrays with the channels last.
// Every layer is one matrix product whose inner loop reads memory in order, which makes it fast.

/** Apply a list of layers to x. */
function forward(layers, x) {
  for (const layer of layers) x = activate(applyGates(layer, LAYERS[layer.kind](layer, x)), layer.activation);
  return x;
}

/** Scale the outputs of a layer by its gates, if it has any, in place. */
function applyGates({ gate }, x) {
  if (!gate) return x;
  const { values, constant } = gate;
  for (let i = 0; i < x.length; i += values.length) {
    for (let k = 0; k < values.length; k++) x[i + k] = values[k] * x[i + k] + constant[k];
  }
  return x;
}

/** Set the gates of layers to a level of beta, with `curve` from u to the gate. */
function setGates(layers, level, curve) {
  for (const { gate } of layers.filter(({ gated }) => gated)) {
    gate.values = gate.slope.map((slope, k) => curve(slope * level + gate.offset[k]));
  }
}

const LAYERS = { dense, conv, up };

function dense(layer, x) {
  const out = Float32Array.from(layer.bias);
  addProduct(out, x, layer.weight, 1, ...layer.rows);
  return out;
}

/** A convolution: the product of all patches of the image, as rows, with the weights. */
function conv(layer, x) {
  const [height, width, channels] = layer.input;
  const [down, across, features] = layer.output;
  const { kernel: [tall, wide], stride, padding } = layer;
  const line = wide * channels; // numbers of a patch that are adjacent in the image too
  layer.patches ??= new Float32Array(down * across * tall * line); // padding stays 0
  for (let row = 0; row < down; row++) {
    for (let column = 0; column < across; column++) {
      const left = column * stride - padding;
      const first = Math.max(0, -left);
      const last = Math.min(wide, width - left);
      for (let k = 0; k < tall; k++) {
        const y = row * stride - padding + k;
        if (y < 0 || y >= height) continue;
        const from = (y * width + left) * channels;
        const to = ((row * across + column) * tall + k) * line;
        for (let i = first * channels; i < last * channels; i++) layer.patches[to + i] = x[from + i];
      }
    }
  }
  const out = repeat(layer.bias, down * across);
  addProduct(out, layer.patches, layer.weight, down * across, features, tall * line);
  return out;
}

/** A transposed convolution: each pixel is expanded to a patch of the output, and overlapping patches are added. */
function up(layer, x) {
  const [height, width, channels] = layer.input;
  const [down, across, features] = layer.output;
  const { kernel: [tall, wide], stride, padding } = layer;
  const line = wide * features;
  layer.patches ??= new Float32Array(height * width * tall * line);
  layer.patches.fill(0);
  addProduct(layer.patches, x, layer.weight, height * width, tall * line, channels);
  const out = repeat(layer.bias, down * across);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const left = column * stride - padding;
      const first = Math.max(0, -left);
      const last = Math.min(wide, across - left);
      for (let k = 0; k < tall; k++) {
        const y = row * stride - padding + k;
        if (y < 0 || y >= down) continue;
        const from = ((row * width + column) * tall + k) * line;
        const to = (y * across + left) * features;
        for (let i = first * features; i < last * features; i++) out[to + i] += layer.patches[from + i];
      }
    }
  }
  return out;
}

/**
 * Add a bᵀ to c, for a [m, k], b [n, k] and c [m, n].
 * Four sums are computed at a time: they are independent, and share what they read of a.
 */
function addProduct(c, a, b, m, n, k) {
  for (let row = 0; row < m; row++) {
    const from = row * k;
    const to = row * n;
    let column = 0;
    for (; column + 4 <= n; column += 4) {
      const b0 = column * k, b1 = b0 + k, b2 = b1 + k, b3 = b2 + k;
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
      for (let i = 0; i < k; i++) {
        const x = a[from + i];
        s0 += x * b[b0 + i];
        s1 += x * b[b1 + i];
        s2 += x * b[b2 + i];
        s3 += x * b[b3 + i];
      }
      c[to + column] += s0;
      c[to + column + 1] += s1;
      c[to + column + 2] += s2;
      c[to + column + 3] += s3;
    }
    for (; column < n; column++) {
      let s = 0;
      for (let i = 0; i < k; i++) s += a[from + i] * b[column * k + i];
      c[to + column] += s;
    }
  }
}

/** Return the bias once for each pixel. */
function repeat(bias, pixels) {
  const out = new Float32Array(pixels * bias.length);
  for (let i = 0; i < out.length; i += bias.length) out.set(bias, i);
  return out;
}

function activate(x, name) {
  if (name === "relu") for (let i = 0; i < x.length; i++) x[i] = Math.max(x[i], 0);
  if (name === "tanh") for (let i = 0; i < x.length; i++) x[i] = Math.tanh(x[i]);
  if (name === "silu") for (let i = 0; i < x.length; i++) x[i] /= 1 + Math.exp(-x[i]);
  return x;
}

/** Convert logits to pixels in [0, 1], in place. */
function sigmoid(x) {
  for (let i = 0; i < x.length; i++) x[i] = 1 / (1 + Math.exp(-x[i]));
  return x;
}
