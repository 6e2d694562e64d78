// Weights and images, out of the text in which they travel. `_packed` in page.py puts them in.

/** The bytes behind base64 text, decompressed. */
async function inflated(text) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64); // where a browser has it, ten times as fast
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** Give each of the layers its `weight` and `bias`; returns the images that follow in the buffer, a byte a number. */
function unpackInto(layers, buffer) {
  const count = sum(layers.map((layer) => layer.rows[0] * layer.rows[1]));
  const low = new Uint8Array(buffer, 0, count);
  const high = new Uint8Array(buffer, count, count);
  let float = 2 * count; // a float need not begin at a multiple of four, so each run of them is copied
  let number = 0;
  const floats = (length) => {
    const from = float;
    float += 4 * length;
    return new Float32Array(buffer.slice(from, float));
  };
  for (const layer of layers) {
    const [rows, columns] = layer.rows;
    const scale = floats(rows);
    layer.bias = floats(layer.kind === "up" ? layer.output[2] : rows);
    layer.weight = new Float32Array(rows * columns);
    for (let row = 0, i = 0; row < rows; row++) {
      for (const end = i + columns; i < end; i++, number++) {
        const held = low[number] | (high[number] << 8); // the sign is the lowest bit
        layer.weight[i] = scale[row] * (held & 1 ? -((held + 1) >> 1) : held >> 1);
      }
    }
  }
  return new Uint8Array(buffer.slice(float));
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}
