// Line charts: colour, dashes and markers tell the lines apart; arrow keys and the pointer read them.

import { make, svg } from './dom.js';

const LIGHT = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'];
const DARK = ['#56b4e9', '#f0894a', '#3fc49c', '#e5a3c9', '#f0bf4e', '#a9b9ff'];
const DASHES = ['', '6 3', '2 3', '9 3 2 3'];
const WIDTH = 520, HEIGHT = 270, LEFT = 58, RIGHT = 12, TOP = 10, BOTTOM = 34;

function style(order) {
  const colours = matchMedia('(prefers-color-scheme: dark)').matches ? DARK : LIGHT;
  return { colour: colours[order % colours.length], dash: DASHES[Math.floor(order / colours.length) % DASHES.length] };
}

function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step / 1e6; value += step) found.push(value);
  return found;
}

export function short(value) {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(1).replace('e+', 'e');
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  return String(Number(value.toPrecision(4)));
}

// `lines` is [{name, x, y, markers}]; missing values are null.
export function chart(title, lines, { unit = '', zero = true } = {}) {
  const shown = lines.map((line) => ({
    ...line,
    points: line.x.map((x, index) => [x, line.y[index]]).filter(([x, y]) => x !== null && y !== null && y !== undefined),
  }));
  const holder = make('figure', { class: 'card chart' }, make('h3', {}, title));
  const all = shown.flatMap((line) => line.points);
  if (!all.length) {
    holder.append(make('p', { class: 'soft' }, 'Nothing is logged yet.'));
    return holder;
  }
  const xs = all.map(([x]) => x), ys = all.map(([, y]) => y);
  const lowX = 0, highX = Math.max(...xs, 1);
  const sorted = [...ys].sort((a, b) => a - b);
  // Single iterations spike far above the course of a loss.
  const cap = zero ? Math.min(sorted.at(-1), 1.6 * sorted[Math.floor(0.98 * (sorted.length - 1))] || Infinity) : sorted.at(-1);
  let lowY = zero ? Math.min(0, sorted[0]) : sorted[0], highY = Math.max(cap, lowY + (cap === lowY ? Math.abs(lowY) * 0.1 || 1 : 0));
  if (!zero) { const room = (highY - lowY) * 0.06; lowY -= room; highY += room; }
  const toX = (x) => LEFT + ((x - lowX) / (highX - lowX)) * (WIDTH - LEFT - RIGHT);
  const toY = (y) => Math.max(TOP, HEIGHT - BOTTOM - ((y - lowY) / (highY - lowY)) * (HEIGHT - TOP - BOTTOM));
  const picture = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': `${title}: ${shown.map((line) => `${line.name} ${line.points.length ? short(line.points.at(-1)[1]) : ''}${unit}`).slice(0, 12).join(', ')}` });
  for (const value of ticks(lowY, highY, 5)) {
    picture.append(svg('line', { class: 'grid', x1: LEFT, x2: WIDTH - RIGHT, y1: toY(value), y2: toY(value) }), svg('text', { x: LEFT - 7, y: toY(value) + 4, 'text-anchor': 'end' }, short(value)));
  }
  for (const value of ticks(lowX, highX, 6)) {
    picture.append(svg('text', { x: toX(value), y: HEIGHT - BOTTOM + 17, 'text-anchor': 'middle' }, short(value)));
  }
  picture.append(svg('text', { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 3, 'text-anchor': 'middle' }, 'iteration'));
  const legend = make('div', { class: 'legend' });
  shown.forEach((line, order) => {
    const { colour, dash } = style(order);
    const path = line.points.map(([x, y], index) => `${index ? 'L' : 'M'}${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`).join('');
    picture.append(svg('path', { d: path, fill: 'none', stroke: colour, 'stroke-width': 2, 'stroke-dasharray': dash, 'stroke-linejoin': 'round' }));
    if (line.markers || line.points.length === 1) {
      for (const [x, y] of line.points) picture.append(svg('circle', { cx: toX(x), cy: toY(y), r: 3, fill: colour }));
    }
    const key = svg('svg', { viewBox: '0 0 30 12', 'aria-hidden': 'true' }, svg('line', { x1: 0, x2: 30, y1: 6, y2: 6, stroke: colour, 'stroke-width': 3, 'stroke-dasharray': dash }));
    legend.append(make('span', {}, key, line.name));
  });
  const cursor = svg('line', { class: 'hover', y1: TOP, y2: HEIGHT - BOTTOM, x1: -9, x2: -9 });
  picture.append(cursor);
  const read = make('p', { class: 'small soft', role: 'status' }, ' ');
  picture.addEventListener('pointermove', (event) => {
    const box = picture.getBoundingClientRect();
    const at = lowX + (((event.clientX - box.left) / box.width) * WIDTH - LEFT) / (WIDTH - LEFT - RIGHT) * (highX - lowX);
    const nearest = shown.filter((line) => line.points.length).map((line) => {
      const point = line.points.reduce((best, each) => (Math.abs(each[0] - at) < Math.abs(best[0] - at) ? each : best));
      return [line.name, point];
    });
    if (!nearest.length) return;
    const x = toX(nearest[0][1][0]);
    cursor.setAttribute('x1', x);
    cursor.setAttribute('x2', x);
    read.textContent = `iteration ${nearest[0][1][0]}: ${nearest.slice(0, 8).map(([name, [, y]]) => (nearest.length > 1 ? `${name} ` : '') + short(y) + unit).join(', ')}`;
  });
  holder.append(picture, shown.length > 1 || shown[0].always ? legend : '', read);
  return holder;
}
