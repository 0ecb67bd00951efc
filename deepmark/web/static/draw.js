/* Draws an image with its garments on a canvas: boxes, names, outlines and landmarks. */

const INK = "#18181c";
const PAPER = "#ffffff";

/** The width of a line for an image of this size, in its pixels. */
export function penOf(width, height) {
  return Math.max(1, Math.sqrt(width * height) / 400);
}

/**
 * Draws the image and, best on top, its garments.
 *
 * options: landmarks and names (whether they are drawn), lit: {garment, landmark} that stands out, or null.
 */
export function draw(context, image, garments, kinds, options) {
  const { width, height } = context.canvas;
  const pen = penOf(width, height);
  context.fillStyle = PAPER; // under what is transparent, as the network sees it
  context.fillRect(0, 0, width, height);
  context.drawImage(image, 0, 0, width, height);
  context.lineJoin = context.lineCap = "round";
  const order = garments.map((_, place) => place).reverse();
  for (const place of order) {
    const lit = options.lit?.garment;
    context.globalAlpha = lit === undefined || lit === place ? 1 : 0.25;
    const kind = kinds.get(garments[place].category);
    drawBox(context, garments[place], kind, pen, lit === place);
    if (options.landmarks) drawLandmarks(context, garments[place], kind, pen, lit === place ? options.lit.landmark : null);
  }
  context.globalAlpha = 1;
  if (options.names) drawNames(context, garments, kinds, pen);
}

function drawBox(context, garment, kind, pen, lit) {
  const [x0, y0, x1, y1] = garment.box;
  context.beginPath();
  context.roundRect(x0, y0, x1 - x0, y1 - y0, 2 * pen);
  context.strokeStyle = INK;
  context.lineWidth = (lit ? 4 : 2.2) * pen;
  context.globalAlpha *= 0.55;
  context.stroke();
  context.globalAlpha /= 0.55;
  context.strokeStyle = kind.color;
  context.lineWidth = (lit ? 2.6 : 1.3) * pen;
  context.stroke();
}

function drawLandmarks(context, garment, kind, pen, litName) {
  const points = kind.landmarks.map((name) => garment.landmarks[name]);
  context.beginPath();
  for (const [a, b] of kind.strokes) {
    context.moveTo(points[a][0], points[a][1]);
    context.lineTo(points[b][0], points[b][1]);
  }
  for (const [color, width] of [[INK, 2.4], [kind.color, 1.4]]) {
    context.strokeStyle = color;
    context.lineWidth = width * pen;
    context.stroke();
  }
  points.forEach(([x, y, score], place) => {
    const grown = kind.landmarks[place] === litName ? 1.8 : 1;
    const placed = score > 0 ? kind.color : PAPER;
    for (const [color, radius] of [[INK, 3.6], [kind.color, 2.9], [placed, 1.8]]) {
      context.beginPath();
      context.arc(x, y, radius * pen * grown, 0, 2 * Math.PI);
      context.fillStyle = color;
      context.fill();
    }
  });
}

/** The names, each above its box, above a name that is there, inside or below: where it hides none before it. */
function drawNames(context, garments, kinds, pen) {
  const { width, height } = context.canvas;
  const size = Math.max(11, 11 * pen);
  const pad = 0.4 * size;
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  const taken = [];
  for (const garment of garments) {
    const text = `${garment.category} ${garment.score.toFixed(2)}`;
    const wide = context.measureText(text).width + 2 * pad;
    const tall = size + 1.2 * pad;
    const [x0, y0, , y1] = garment.box;
    const left = Math.min(Math.max(x0, 0), Math.max(width - wide, 0));
    const at = (top) => ({ left, top: Math.min(Math.max(top, 0), Math.max(height - tall, 0)), wide, tall });
    const places = [at(y0 - tall - 4 * pen), at(y0 + 4 * pen), at(y1 + 4 * pen), at(y0 - 2 * tall - 6 * pen)];
    const place = places.find((one) => !taken.some((other) => overlap(one, other))) ?? places[0];
    taken.push(place);
    context.fillStyle = kinds.get(garment.category).color;
    context.beginPath();
    context.roundRect(place.left, place.top, wide, tall, 0.35 * size);
    context.fill();
    context.fillStyle = INK;
    context.fillText(text, place.left + pad, place.top + tall / 2);
  }
}

function overlap(a, b) {
  return a.left < b.left + b.wide && b.left < a.left + a.wide && a.top < b.top + b.tall && b.top < a.top + a.tall;
}

/** What lies at a point of the image: {garment, landmark}; the nearest landmark first, else the smallest box. */
export function under(x, y, garments, landmarks, reach) {
  let found = null;
  let nearest = reach;
  garments.forEach((garment, place) => {
    for (const [name, [px, py]] of landmarks ? Object.entries(garment.landmarks) : []) {
      const distance = Math.hypot(px - x, py - y);
      if (distance < nearest) [nearest, found] = [distance, { garment: place, landmark: name }];
    }
  });
  if (found) return found;
  let smallest = Infinity;
  garments.forEach(({ box: [x0, y0, x1, y1] }, place) => {
    const area = (x1 - x0) * (y1 - y0);
    if (x0 <= x && x <= x1 && y0 <= y && y <= y1 && area < smallest) {
      [smallest, found] = [area, { garment: place, landmark: null }];
    }
  });
  return found;
}
