// Pixels [H, W, C] in [0, 1] on the screen, in files, and from files.

/** Bytes of a picture for showing: one a pixel where it is grey, else three; other channels are shown as their mean. */
function shown(pixels) {
  const [channels] = about.shape;
  if (channels === 1 || channels === 3) return Uint8Array.from(pixels, (value) => Math.round(255 * value));
  const bytes = new Uint8Array(pixels.length / channels);
  for (let i = 0; i < bytes.length; i++) {
    const mean = pixels.subarray(i * channels, (i + 1) * channels).reduce((a, b) => a + b) / channels;
    bytes[i] = Math.round(255 * mean);
  }
  return bytes;
}

/** How many bytes `shown` has for a pixel. */
function shownChannels() {
  return about.shape[0] === 3 ? 3 : 1;
}

function paint(canvas, pixels) {
  const [, height, width] = about.shape;
  const bytes = shown(pixels);
  const colours = shownChannels();
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = bytes[i * colours + (c % colours)];
    image.data[4 * i + 3] = 255;
  }
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** A PNG of pictures side by side, each pixel enlarged to `scale` of them. */
async function png(canvases, scale) {
  const [, height, width] = about.shape;
  const gap = canvases.length > 1 ? scale * Math.ceil(width / 32) : 0;
  const pitch = width * scale + gap;
  const sheet = element("canvas", { width: pitch * canvases.length - gap, height: height * scale });
  const context = sheet.getContext("2d");
  context.imageSmoothingEnabled = false;
  canvases.forEach((canvas, i) => context.drawImage(canvas, i * pitch, 0, width * scale, height * scale));
  return new Promise((resolve) => sheet.toBlob(resolve, "image/png"));
}

/** Squared error of two pictures, summed over pixels and channels. */
function squaredError(a, b) {
  return a.reduce((total, value, i) => total + (value - b[i]) ** 2, 0);
}

/**
 * The pixels of an image file, as the net takes them: cut to a centred square where the run's images were, squeezed to
 * its size, grey where it is grey (ITU-R 601 luma), on black where it is transparent.
 */
async function pixelsOf(file) {
  const [channels, height, width] = about.shape;
  const bitmap = await createImageBitmap(file);
  const cut = about.crop && about.crop <= Math.min(bitmap.width, bitmap.height) ? about.crop : null;
  const [w, h] = cut ? [cut, cut] : [bitmap.width, bitmap.height];
  const canvas = element("canvas", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, (bitmap.width - w) >> 1, (bitmap.height - h) >> 1, w, h, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const pixels = new Float32Array(width * height * channels);
  for (let i = 0; i < width * height; i++) {
    const [red, green, blue] = data.subarray(4 * i, 4 * i + 3);
    if (channels === 3) pixels.set([red / 255, green / 255, blue / 255], 3 * i);
    else pixels[i] = Math.round(0.299 * red + 0.587 * green + 0.114 * blue) / 255;
  }
  return pixels;
}
