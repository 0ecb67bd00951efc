/* Lays an image on the canvas that the network sees, with the pixels that Python gives: browsers scale each in its own way. */

const LEAST_BILINEAR = 0.5; // below this scale bilinear sampling skips pixels, so areas are averaged first
const TOLERANCE = 1e-6; // pixels; an offset this close to a whole pixel counts as one
const ONE = 1 << 11; // the sum of two weights of resize, which counts in integers, as OpenCV does

/** The nearest integer, the even one of two: Python's rounding. */
function round(x) {
  const floor = Math.floor(x);
  return x - floor === 0.5 ? floor + (floor % 2 ? 1 : 0) : Math.round(x);
}

/** RGB without alpha. */
export function rgbOf(rgba) {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    rgb[to++] = rgba[from];
    rgb[to++] = rgba[from + 1];
    rgb[to++] = rgba[from + 2];
  }
  return rgb;
}

/**
 * The image in the middle of a black canvas: {data, ratio, left, top}; x on the canvas is ratio * x + left.
 *
 * image: {data: RGB bytes, width, height}.
 */
export function letterbox(image, canvasHeight, canvasWidth) {
  const ratio = Math.min(canvasHeight / image.height, canvasWidth / image.width);
  const left = (canvasWidth - ratio * image.width) / 2;
  const top = (canvasHeight - ratio * image.height) / 2;
  let small = image;
  if (ratio < LEAST_BILINEAR) {
    small = average(image, Math.max(1, round(image.height * ratio)), Math.max(1, round(image.width * ratio)));
  }
  const x = { scale: (ratio * image.width) / small.width, offset: left, length: small.width, canvas: canvasWidth };
  const y = { scale: (ratio * image.height) / small.height, offset: top, length: small.height, canvas: canvasHeight };
  return { data: onWholePixels(small, x, y) ?? place(small, x, y), ratio, left, top };
}

/** The image shrunk by the means of areas. */
export function average(image, height, width) {
  const columns = shares(image.width, width);
  const rows = shares(image.height, height);
  const pixels = image.data;
  const data = new Uint8Array(3 * height * width);
  const sums = new Float64Array(3 * width);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    for (let row = 0; row < rows.most; row++) {
      const of = rows.share[y * rows.most + row];
      if (!of) continue;
      const line = 3 * image.width * (rows.first[y] + row);
      for (let x = 0, entry = 0; x < width; x++) {
        let [red, green, blue] = [0, 0, 0];
        let at = line + 3 * columns.first[x];
        for (let column = 0; column < columns.most; column++, entry++, at += 3) {
          const part = columns.share[entry];
          if (!part) continue;
          red += part * pixels[at];
          green += part * pixels[at + 1];
          blue += part * pixels[at + 2];
        }
        sums[3 * x] += of * red;
        sums[3 * x + 1] += of * green;
        sums[3 * x + 2] += of * blue;
      }
    }
    for (let i = 0; i < sums.length; i++) data[3 * width * y + i] = round(sums[i]);
  }
  return { data, width, height };
}

/** Along an axis: the first old pixel that each new one covers, and the share of it and of those after it. */
function shares(length, newLength) {
  const scale = length / newLength;
  const most = Math.ceil(scale) + 1;
  const first = new Int32Array(newLength);
  const share = new Float64Array(newLength * most);
  for (let place = 0; place < newLength; place++) {
    const [begin, end] = [place * scale, Math.min((place + 1) * scale, length)];
    first[place] = Math.floor(begin);
    for (let pixel = first[place]; pixel < end; pixel++) {
      const part = (Math.min(pixel + 1, end) - Math.max(pixel, begin)) / (end - begin);
      share[place * most + pixel - first[place]] = part > 1e-6 ? part : 0;
    }
  }
  return { first, share, most };
}

/** Where the image comes to lie on whole pixels without being enlarged: bilinear, its border not mixed with black. */
function onWholePixels(image, x, y) {
  if (x.scale !== y.scale || x.scale > 1) return null;
  const [columns, rows] = [visible(x), visible(y)];
  if (!columns || !rows) return null;
  const scaled = resize(image, columns, rows, x.scale);
  const data = new Uint8Array(3 * x.canvas * y.canvas);
  const width = Math.min(scaled.width, x.canvas - columns.target);
  for (let row = 0; row < Math.min(scaled.height, y.canvas - rows.target); row++) {
    const from = 3 * row * scaled.width;
    data.set(scaled.data.subarray(from, from + 3 * width), 3 * ((rows.target + row) * x.canvas + columns.target));
  }
  return data;
}

function visible({ scale, offset, length, canvas }) {
  const [start, place] = [Math.max(0, -offset / scale), Math.max(0, offset)];
  const [first, target] = [round(start), round(place)];
  if (Math.max(Math.abs(first - start), Math.abs(target - place)) > TOLERANCE || target >= canvas) return null;
  const stop = Math.min(length, first + Math.trunc((canvas - target + 0.5) / scale) + 1);
  return round((stop - first) * scale) > 0 ? { first, length: stop - first, target } : null;
}

function resize(image, columns, rows, scale) {
  const [width, height] = [round(columns.length * scale), round(rows.length * scale)];
  const data = new Uint8Array(3 * width * height);
  const xs = neighbours(width, scale, columns.length);
  const ys = neighbours(height, scale, rows.length);
  for (const one of xs) if (one.first < 0 || one.first >= columns.length - 1) [one.of, one.ofNext] = [ONE, 0];
  ys.forEach((y, row) => {
    const upper = 3 * ((rows.first + y.low) * image.width + columns.first);
    const lower = 3 * ((rows.first + y.high) * image.width + columns.first);
    xs.forEach((x, column) => {
      for (let channel = 0; channel < 3; channel++) {
        const [a, b] = [3 * x.low + channel, 3 * x.high + channel];
        const above = (image.data[upper + a] * x.of + image.data[upper + b] * x.ofNext) >> 4;
        const below = (image.data[lower + a] * x.of + image.data[lower + b] * x.ofNext) >> 4;
        data[3 * (width * row + column) + channel] = (((above * y.of) >> 16) + ((below * y.ofNext) >> 16) + 2) >> 2;
      }
    });
  });
  return { data, width, height };
}

/** For each new pixel along an axis: the two old ones that it lies between, and their weights. */
function neighbours(count, scale, length) {
  return Array.from({ length: count }, (_, place) => {
    const at = Math.fround((place + 0.5) / scale - 0.5);
    const first = Math.floor(at);
    const [low, high] = [first, first + 1].map((one) => Math.min(Math.max(one, 0), length - 1));
    return { first, low, high, of: round((1 - (at - first)) * ONE), ofNext: round((at - first) * ONE) };
  });
}

/** Any other place and scale: bilinear, on black. */
function place(image, x, y) {
  const data = new Uint8Array(3 * x.canvas * y.canvas);
  const value = (row, column, channel) =>
    row < 0 || column < 0 || row >= image.height || column >= image.width
      ? 0
      : image.data[3 * (row * image.width + column) + channel];
  for (let row = 0; row < y.canvas; row++) {
    const atY = (row + 0.5 - y.offset) / y.scale - 0.5;
    const upper = Math.floor(atY);
    if (upper < -1 || upper >= image.height) continue;
    for (let column = 0; column < x.canvas; column++) {
      const atX = (column + 0.5 - x.offset) / x.scale - 0.5;
      const left = Math.floor(atX);
      if (left < -1 || left >= image.width) continue;
      const [right, low] = [atX - left, atY - upper];
      for (let channel = 0; channel < 3; channel++) {
        const above = value(upper, left, channel) * (1 - right) + value(upper, left + 1, channel) * right;
        const below = value(upper + 1, left, channel) * (1 - right) + value(upper + 1, left + 1, channel) * right;
        data[3 * (row * x.canvas + column) + channel] = round(above + (below - above) * low);
      }
    }
  }
  return data;
}
