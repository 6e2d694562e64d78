// Animated GIFs (GIF89a, https://www.w3.org/Graphics/GIF/spec-gif89a.txt), with the 256 colours that suit the frames.

/**
 * The bytes of a GIF that repeats for ever. `frames` are Uint8Arrays of `channels` (1 or 3) bytes a pixel, each shown
 * for `hundredths` of a second. Grey is kept exactly; colours are those of a median cut over all frames.
 */
function gif(frames, width, height, channels, hundredths) {
  const { colours, indexOf } = channels === 1 ? greys() : medianCut(frames);
  const pair = (number) => [number & 255, number >> 8];
  const parts = [
    [...new TextEncoder().encode("GIF89a"), ...pair(width), ...pair(height), 0xf7, 0, 0], // a table of 256 colours
    colours,
    [0x21, 0xff, 11, ...new TextEncoder().encode("NETSCAPE2.0"), 3, 1, 0, 0, 0], // repeat
  ];
  for (const frame of frames) {
    const indices = new Uint8Array(width * height);
    for (let i = 0; i < indices.length; i++) indices[i] = indexOf(frame, channels * i);
    parts.push([0x21, 0xf9, 4, 0, ...pair(hundredths), 0, 0], [0x2c, 0, 0, 0, 0, ...pair(width), ...pair(height), 0]);
    parts.push([8], blocks(compressed(indices)), [0]);
  }
  parts.push([0x3b]);
  return joined(parts);
}

/** Bytes in the form of GIF's LZW with codes of nine bits and more, the lowest bit first. */
function compressed(indices) {
  const clear = 256, end = 257, most = 4096;
  const out = [];
  const known = new Map(); // from a code and the byte after it to the code of both
  let next = end + 1, size = 9, held = 0, bits = 0;
  const emit = (code) => {
    held |= code << bits;
    for (bits += size; bits >= 8; bits -= 8, held >>>= 8) out.push(held & 255);
  };
  emit(clear);
  let code = indices[0];
  for (let i = 1; i < indices.length; i++) {
    const longer = (code << 8) | indices[i];
    if (known.has(longer)) {
      code = known.get(longer);
      continue;
    }
    emit(code);
    code = indices[i];
    if (next < most) {
      known.set(longer, next);
      if (next === 1 << size) size++; // a reader knows this code only after the next one, and widens with us
      next++;
    } else {
      emit(clear);
      known.clear();
      next = end + 1;
      size = 9;
    }
  }
  emit(code);
  emit(end);
  if (bits) out.push(held & 255);
  return out;
}

/** Bytes cut into GIF's blocks of up to 255, each behind its length. */
function blocks(bytes) {
  const parts = [];
  for (let from = 0; from < bytes.length; from += 255) {
    const part = bytes.slice(from, from + 255);
    parts.push([part.length], part);
  }
  return joined(parts);
}

function joined(parts) {
  const bytes = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function greys() {
  const colours = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));
  return { colours, indexOf: (frame, i) => frame[i] };
}

/**
 * 256 colours for the frames, and the index of the one for a pixel (Heckbert, 1982). Colours are counted in 32 steps a
 * channel; the box of cells with most pixels times width is cut at its median until there are 256.
 */
function medianCut(frames) {
  const cellOf = (frame, i) => ((frame[i] >> 3) << 10) | ((frame[i + 1] >> 3) << 5) | (frame[i + 2] >> 3);
  const count = new Float64Array(32768);
  const sums = new Float64Array(3 * 32768);
  for (const frame of frames) {
    for (let i = 0; i < frame.length; i += 3) {
      const cell = cellOf(frame, i);
      count[cell]++;
      for (let c = 0; c < 3; c++) sums[3 * cell + c] += frame[i + c];
    }
  }
  const boxes = [boxOf([...count.keys()].filter((cell) => count[cell]), count)];
  while (boxes.length < 256) {
    const largest = boxes.reduce((a, b) => (b.worth > a.worth ? b : a));
    if (!largest.worth) break; // every box is one cell
    boxes.splice(boxes.indexOf(largest), 1, ...halves(largest, count));
  }
  const colours = new Uint8Array(768);
  const index = new Uint8Array(32768);
  boxes.forEach(({ cells, pixels }, number) => {
    for (let c = 0; c < 3; c++) {
      colours[3 * number + c] = Math.round(cells.reduce((total, cell) => total + sums[3 * cell + c], 0) / pixels);
    }
    for (const cell of cells) index[cell] = number;
  });
  return { colours, indexOf: (frame, i) => index[cellOf(frame, i)] };
}

/** A set of cells with its pixels, its widest channel as a shift of bits, and how much it is worth to cut it. */
function boxOf(cells, count) {
  const pixels = cells.reduce((total, cell) => total + count[cell], 0);
  const width = (shift) => {
    const values = cells.map((cell) => (cell >> shift) & 31);
    return values.reduce((a, b) => Math.max(a, b)) - values.reduce((a, b) => Math.min(a, b));
  };
  const shift = [10, 5, 0].reduce((a, b) => (width(b) > width(a) ? b : a));
  return { cells, pixels, shift, worth: pixels * width(shift) };
}

function halves({ cells, pixels, shift }, count) {
  const sorted = cells.toSorted((a, b) => ((a >> shift) & 31) - ((b >> shift) & 31));
  let end = 0;
  for (let seen = 0; end < sorted.length - 1 && (end === 0 || seen < pixels / 2); end++) seen += count[sorted[end]];
  return [boxOf(sorted.slice(0, end), count), boxOf(sorted.slice(end), count)];
}
