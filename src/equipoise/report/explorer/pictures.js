// Pixels [H, W, C] in [0, 1]: painting, saving and reading them.

/** Return the RGBA bytes of a picture. Other channels than one or three are shown as their mean. */
function rgba(pixels) {
  const [channels, height, width] = about.shape;
  const bytes = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < width * height; i++) {
    let mean = 0;
    for (let c = 0; c < channels; c++) mean += pixels[i * channels + c] / channels;
    for (let c = 0; c < 3; c++) {
      bytes[4 * i + c] = Math.round(255 * (channels === 3 ? pixels[i * channels + c] : mean));
    }
    bytes[4 * i + 3] = 255;
  }
  return bytes;
}

/** Paint pixels on a canvas of the size of the picture, or draw a vector, without names if it is small. */
function paint(canvas, pixels, isSmall = false) {
  if (about.columns) return paintVector(canvas, pixels, isSmall);
  const [, height, width] = about.shape;
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(new ImageData(rgba(pixels), width, height), 0, 0);
}

/** Return a PNG of pictures side by side, enlarged `scale` times. */
async function png(canvases, scale) {
  const [, height, width] = about.columns ? [1, canvases[0].height, canvases[0].width] : about.shape;
  if (about.columns) scale = 1;
  const gap = canvases.length > 1 ? scale * Math.ceil(width / 32) : 0;
  const pitch = width * scale + gap;
  const sheet = element("canvas", { width: pitch * canvases.length - gap, height: height * scale });
  const context = sheet.getContext("2d");
  context.imageSmoothingEnabled = false;
  canvases.forEach((canvas, i) => context.drawImage(canvas, i * pitch, 0, width * scale, height * scale));
  return new Promise((resolve) => sheet.toBlob(resolve, "image/png"));
}

/** Return the squared error of two pictures, summed over pixels and channels. */
function squaredError(a, b) {
  return a.reduce((total, value, i) => total + (value - b[i]) ** 2, 0);
}

/**
 * Return the pixels of an image file in the form that the model takes: cropped to a central square where the images of
 * the run were, resized, converted to grey (ITU-R 601 luma) for one channel, and on black where it is transparent.
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
