// Vectors in place of pictures: a curve over ordered columns, or a bar for each named one.

const MARGIN = { left: 64, right: 12, top: 12, bottom: 40 }; // pixels of a canvas, for numbers and names
const NAME = 110; // pixels below bars for the names of columns

/** Return values as they are drawn: in the units of the data, or scaled. */
function shownValues(values) {
  const { offset, unit, inUnits } = about.columns;
  return Array.from(values, (value, i) => (inUnits ? value * unit[i] + offset[i] : value));
}

/** Draw scaled values on a canvas; a small one has no names and numbers. */
function paintVector(canvas, values, isSmall) {
  const { names, axis, low, high } = about.columns;
  const [width, height] = isSmall ? [300, 150] : [720, axis ? 300 : 360];
  Object.assign(canvas, { width, height });
  canvas.style.imageRendering = "auto";
  const context = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const [ink, muted, line, accent] = ["--ink", "--muted", "--line", "--accent"].map((name) => style.getPropertyValue(name));
  const { left, right, top } = isSmall ? { left: 4, right: 4, top: 4 } : MARGIN;
  const bottom = isSmall ? 4 : axis ? MARGIN.bottom : NAME;
  const across = width - left - right;
  const down = height - top - bottom;
  const y = (value) => top + ((high - value) / (high - low)) * down;
  const [first, last] = axis ? [axis[0], axis.at(-1)] : [-0.5, names.length - 0.5];
  const x = (place) => left + ((place - first) / (last - first)) * across;
  const zero = y(Math.min(Math.max(0, low), high));
  context.strokeStyle = line;
  context.strokeRect(left, top, across, down);
  context.beginPath();
  context.moveTo(left, zero);
  context.lineTo(width - right, zero);
  context.stroke();
  if (!isSmall) labelVector(context, { x, y, left, width, height, right, bottom, muted });
  context.save();
  context.beginPath();
  context.rect(left, top, across, down);
  context.clip();
  context.strokeStyle = context.fillStyle = accent || ink;
  context.lineWidth = isSmall ? 1.5 : 2.5;
  context.beginPath();
  const thickness = (0.7 * across) / values.length;
  shownValues(values).forEach((value, i) => {
    if (axis) context.lineTo(x(axis[i]), y(value));
    else context.fillRect(x(i) - thickness / 2, Math.min(zero, y(value)), thickness, Math.abs(y(value) - zero));
  });
  context.stroke();
  context.restore();
}

/** Write the names of columns below and the ends of the values on the left. */
function labelVector(context, { x, y, left, width, height, right, bottom, muted }) {
  const { names, axis, low, high, label } = about.columns;
  context.fillStyle = muted;
  context.font = "20px sans-serif";
  context.textAlign = "right";
  for (const value of [low, low < 0 && high > 0 ? 0 : (low + high) / 2, high]) {
    const at = Math.min(Math.max(y(value) + 7, 20), height - bottom);
    context.fillText(Number(value.toPrecision(2)), left - 8, at);
  }
  context.textAlign = "left";
  context.fillText(label, left + 8, 34);
  if (axis) {
    context.fillText(names[0], left, height - bottom + 26);
    context.textAlign = "right";
    context.fillText(names.at(-1), width - right, height - bottom + 26);
    return;
  }
  const size = Math.min(18, (0.9 * (width - left - right)) / names.length);
  context.font = `${size}px sans-serif`;
  context.textAlign = "right";
  names.forEach((name, i) => {
    context.save();
    context.translate(x(i) + size / 3, height - bottom + 8);
    context.rotate(-Math.PI / 2);
    context.fillText(name.length > 12 ? `${name.slice(0, 11)}…` : name, 0, 0);
    context.restore();
  });
}
