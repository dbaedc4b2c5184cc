// Nets: what is at hand, and each as Figure 3 of the paper draws it.

import { askJson, make, percent, query, svg } from './dom.js';

const CELL = 64, GAP_X = 34, GAP_Y = 64;
const KINDS = { pool: 'pooling', features: 'features', score: 'scores by a 1 × 1 convolution', upscore: 'upsampling', fuse: 'sum of two score maps', image: 'image' };

export async function showNets(main, wanted) {
  const nets = await askJson('/api/nets');
  const net = nets.find((each) => each.id === wanted);
  if (net) return showNet(main, net);
  main.append(
    make('h2', {}, 'Nets at hand'),
    nets.length ? make('div', { class: 'cards' }, nets.map((each) => make('div', { class: 'card' },
      make('h2', {}, make('a', { href: `#nets/${encodeURIComponent(each.id)}` }, each.id.replace(/^(run|file|published):/, ''))),
      make('p', {}, each.about),
      facts(each),
      each.refusal ? make('p', { class: 'small soft' }, `Not for photos: ${each.refusal}.`) : make('p', {}, make('a', { href: `#try/${encodeURIComponent(each.id)}` }, 'Try it'))))) : make('p', {}, 'None yet: train one with python solve.py.'));
  return null;
}

function facts(net) {
  const rows = [['data', net.data], ['classes', net.classes], ['stride of its scores', net.stride]];
  if (net.snapshot) rows.push(['snapshot', `iteration ${net.snapshot}`]);
  if (net.mean_iu !== null) rows.push(['mean IU when validated', percent(net.mean_iu)]);
  if (net.published_mean_iu !== null) rows.push(['mean IU, published', `${net.published_mean_iu} %`]);
  return make('dl', {}, rows.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, String(value))]));
}

async function showNet(main, net) {
  const drawn = await askJson(`/api/figure?${query({ net: net.id })}`);
  const cells = Object.values(net.cells)[0];
  main.append(
    make('p', {}, make('a', { href: '#nets' }, 'All nets')),
    make('div', { class: 'card' },
      make('h2', {}, net.id.replace(/^(run|file|published):/, '')),
      make('p', {}, `${net.about[0].toUpperCase()}${net.about.slice(1)}. ${drawn.about}`),
      make('p', { class: 'small soft' }, `Above, the layers of the classifier, from fine to coarse; below, the scores on their way back to the image: a row for each stride. A grid shows how dense its cells lie. Each output sees ${cells.high - cells.low + 1} × ${cells.high - cells.low + 1} pixels.`),
      make('div', { class: 'figure', tabindex: '0', role: 'group', 'aria-label': 'drawing of the net' }, draw(drawn)),
      make('p', { class: 'legend' }, Object.entries({ pool: 'var', score: '#009e73', upscore: '#0072b2', fuse: '#d55e00' }).map(([kind, colour]) => {
        const swatch = make('span', { class: 'swatch' });
        if (colour !== 'var') swatch.style.borderColor = colour;
        swatch.style.borderWidth = '3px';
        return make('span', {}, swatch, KINDS[kind]);
      }))),
    make('div', { class: 'card' }, make('h2', {}, 'Facts'), facts(net), net.refusal ? '' : make('p', {}, make('a', { class: 'button', href: `#try/${encodeURIComponent(net.id)}` }, 'Try it'))),
  );
  main.lastChild.style.marginTop = '1rem';
  return null;
}

// Columns follow the edges; the trunk is the first row, then a row for each stride of scores.
function place(drawn) {
  const nodes = new Map(drawn.nodes.map((node) => [node.name, { ...node, column: 0 }]));
  const images = drawn.nodes.filter((node) => node.kind === 'image').map((node) => node.name);
  const trunk = (node) => ['image', 'pool', 'features'].includes(node.kind);
  const origin = new Map();
  const strides = [...new Set(drawn.nodes.filter((node) => !trunk(node)).map((node) => node.stride))].sort((a, b) => b - a);
  for (const node of nodes.values()) {
    const from = drawn.edges.filter((edge) => edge.to === node.name).map((edge) => nodes.get(edge.from));
    origin.set(node.name, node.kind === 'image' ? images.indexOf(node.name) : Math.max(0, ...from.map((each) => origin.get(each.name))));
    const deepest = Math.max(-1, ...from.map((each) => each.column));
    node.column = node.kind === 'score' ? deepest : deepest + 1;
    node.row = trunk(node) ? origin.get(node.name) : images.length + strides.indexOf(node.stride);
  }
  // The last upsampling, to the image, stays in the row of its scores.
  for (const node of nodes.values()) {
    if (node.kind === 'upscore' && node.stride === 1) {
      const edge = drawn.edges.find((each) => each.to === node.name);
      node.row = nodes.get(edge.from).row;
    }
  }
  // Scores of two streams at one place stand side by side.
  const taken = new Set();
  for (const node of nodes.values()) {
    while (taken.has(`${node.row},${node.column}`)) node.column += 1;
    taken.add(`${node.row},${node.column}`);
  }
  return nodes;
}

function draw(drawn) {
  const nodes = place(drawn);
  const rows = [...new Set([...nodes.values()].map((node) => node.row))].sort((a, b) => a - b);
  const x = (node) => 12 + node.column * (CELL + GAP_X);
  const y = (node) => 22 + rows.indexOf(node.row) * (CELL + GAP_Y);
  const width = Math.max(...[...nodes.values()].map(x)) + CELL + 14;
  const height = Math.max(...[...nodes.values()].map(y)) + CELL + 52;
  const picture = svg('svg', { viewBox: `0 0 ${width} ${height}`, width, role: 'img' });
  picture.append(svg('defs', {}, svg('marker', { id: 'tip', viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto' }, svg('path', { d: 'M0 0L8 4L0 8z', class: 'tip' }))));
  for (const edge of drawn.edges) {
    const from = nodes.get(edge.from), to = nodes.get(edge.to);
    let path;
    const lane = y(from) + CELL + 44;
    if (from.row === to.row && to.column > from.column + 1) path = `M${x(from) + CELL} ${y(from) + CELL / 2}h12V${lane}H${x(to) + CELL / 2}v-12`;
    else if (from.row === to.row) path = `M${x(from) + CELL} ${y(from) + CELL / 2}H${x(to) - 2}`;
    else if (from.column === to.column) path = `M${x(from) + CELL / 2} ${y(from) + CELL + 30}V${y(to) - 2}`;
    else path = `M${x(from) + CELL} ${y(from) + CELL * 0.7}C${x(from) + CELL + GAP_X} ${y(from) + CELL * 0.7} ${x(to) - GAP_X} ${y(to) + CELL * 0.3} ${x(to) - 2} ${y(to) + CELL * 0.3}`;
    const line = svg('path', { d: path, 'marker-end': 'url(#tip)' });
    if (edge.layers.length) line.append(titled(edge.layers.join(', ')));
    picture.append(line);
    if (edge.layers.length && from.row === to.row) {
      const text = svg('text', { class: 'soft', x: (x(from) + CELL + x(to)) / 2, y: y(from) + CELL / 2 - 6, 'text-anchor': 'middle' }, `${edge.layers.length}×`);
      text.append(titled(edge.layers.join(', ')));
      picture.append(text);
    }
  }
  for (const node of nodes.values()) picture.append(box(node, x(node), y(node)));
  return picture;
}

const titled = (text) => svg('title', {}, text);

function box(node, left, top) {
  const group = svg('g', { class: node.kind });
  group.append(titled(`${node.name}: ${KINDS[node.kind]}, stride ${node.stride}, ${node.channels} channels, sees ${node.field} × ${node.field} pixels`));
  group.append(svg('rect', { class: 'box', x: left, y: top, width: CELL, height: CELL }));
  if (node.stride > 1) {
    const count = Math.max(1, Math.min(16, Math.round(64 / node.stride)));
    for (let index = 1; index < count; index += 1) {
      const at = (index * CELL) / count;
      group.append(svg('path', { class: 'cell', d: `M${left + at} ${top}V${top + CELL}M${left} ${top + at}H${left + CELL}` }));
    }
  } else {
    const shade = node.kind === 'image' ? ['#9ccbe6', '#7aa05c', '#c08a4a'] : ['#56b4e9', '#009e73', '#e69f00'];
    group.append(svg('rect', { x: left + 2, y: top + 2, width: CELL - 4, height: CELL - 4, fill: shade[0] }), svg('path', { d: `M${left + 2} ${top + CELL - 2}V${top + 42}q14 -14 30 -2t30 -6V${top + CELL - 2}z`, fill: shade[1], stroke: 'none' }), svg('circle', { cx: left + 40, cy: top + 32, r: 11, fill: shade[2] }));
    group.querySelector('path').style.fill = shade[1];
    group.querySelector('path').style.stroke = 'none';
  }
  const name = node.name.split('/')[0];
  group.append(svg('text', { x: left + CELL / 2, y: top + CELL + 13, 'text-anchor': 'middle' }, name.length > 14 ? `${name.slice(0, 13)}…` : name));
  group.append(svg('text', { class: 'soft', x: left + CELL / 2, y: top + CELL + 26, 'text-anchor': 'middle' }, node.stride > 1 ? `stride ${node.stride}` : node.kind === 'image' ? 'image' : 'labels'));
  return group;
}
