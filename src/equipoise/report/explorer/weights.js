// Unpacking of the weights and images that `_pack` in page.py writes.

/** Return the bytes of base64 text, decompressed. */
async function inflate(text) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64); // ten times as fast, in recent browsers
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** Set `weight` and `bias` of each layer, and `gate` where it has one, and return the bytes of the images that follow in the buffer. */
function unpackInto(layers, buffer) {
  const count = layers.reduce((total, { rows }) => total + rows[0] * rows[1], 0);
  const low = new Uint8Array(buffer, 0, count);
  const high = new Uint8Array(buffer, count, count);
  let number = 0;
  let from = 2 * count; // of the floats, which need not begin at a multiple of four: each run of them is copied
  const floats = (length) => new Float32Array(buffer.slice(from, (from += 4 * length)));
  for (const layer of layers) {
    const [rows, columns] = layer.rows;
    const scale = floats(rows);
    const outputs = layer.kind === "up" ? layer.output[2] : rows;
    layer.bias = floats(outputs);
    if (layer.gated) layer.gate = { slope: floats(outputs), offset: floats(outputs), constant: floats(outputs) };
    layer.weight = new Float32Array(rows * columns);
    for (let row = 0, i = 0; row < rows; row++) {
      for (const end = i + columns; i < end; i++, number++) {
        const signed16 = ((low[number] | (high[number] << 8)) << 16) >> 16;
        layer.weight[i] = scale[row] * signed16;
      }
    }
  }
  return new Uint8Array(buffer.slice(from));
}
