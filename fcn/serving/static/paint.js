// Labels as pixels: a view's red is the class, its green the probability of it in 255ths.

const SAFE = ['#e69f00', '#56b4e9', '#009e73', '#f0e442', '#0072b2', '#d55e00', '#cc79a7', '#ffffff'];
const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const VOID = 255;

export async function loadPixels(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error((await answer.json()).error);
  // Neither colour profiles nor alpha may change a class.
  const bitmap = await createImageBitmap(await answer.blob(), { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

// The colour of each class, and whether it is striped: [[r, g, b], striped]. Colours for the
// colour-blind go to the classes by their `shares`, which must be the same for all nets compared.
export function colouring(about, safe, shares = about.shares) {
  if (!safe) return about.colours.map((colour) => [colour, false]);
  const order = shares.map((share, index) => [share, index]).sort((a, b) => b[0] - a[0]);
  const colours = about.colours.map(() => [[128, 128, 128], false]);
  let next = 0;
  for (const [, index] of order) {
    if (about.classes[index] === 'background') {
      colours[index] = [[0, 0, 0], false];
    } else {
      colours[index] = [rgb(SAFE[next % SAFE.length]), Math.floor(next / SAFE.length) % 2 === 1];
      next += 1;
    }
  }
  return colours;
}

// The labels as a canvas: classes in `hidden`, and background, are clear.
export function paint(view, about, { safe = false, shares = about.shares, outlines = false, hidden = new Set() } = {}) {
  const { width, height, data } = view;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  const picture = context.createImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  const colours = colouring(about, safe, shares);
  const clear = about.classes.map((name, index) => hidden.has(index) || (index === 0 && name === 'background'));
  const packed = colours.map(([[r, g, b]]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0);
  const striped = colours.map(([, stripes]) => stripes);
  const edge = 0xffffffff;
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 1) {
      const label = data[4 * at];
      if (label === VOID && label >= packed.length) continue;
      if (!clear[label]) {
        pixels[at] = striped[label] && ((x + y) >> 2) & 1 ? 0xff303030 : packed[label];
      }
      if (outlines) {
        const right = x + 1 < width ? data[4 * at + 4] : label;
        const below = y + 1 < height ? data[4 * (at + width)] : label;
        if ((right !== label && !(clear[right] && clear[label])) || (below !== label && !(clear[below] && clear[label]))) pixels[at] = edge;
      }
    }
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}

// A grey picture of probabilities in a scale that does without red and green.
export function heat(view) {
  const { width, height, data } = view;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  const picture = context.createImageData(width, height);
  const scale = Array.from({ length: 256 }, (_, value) => {
    const place = (value / 255) * (VIRIDIS.length - 1);
    const low = Math.min(Math.floor(place), VIRIDIS.length - 2);
    return VIRIDIS[low].map((from, index) => from + (place - low) * (VIRIDIS[low + 1][index] - from));
  });
  for (let at = 0; at < width * height; at += 1) {
    picture.data.set(scale[data[4 * at]], 4 * at);
    picture.data[4 * at + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}
