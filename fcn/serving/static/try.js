// Try: an image, up to three nets, and what they see in it.

import { ask, askJson, duration, field, follow, make, percent, query, told, wait } from './dom.js';
import { colouring, heat, loadPixels, paint } from './paint.js';
import { Stage } from './stage.js';

const LETTERS = ['A', 'B', 'C'];
const TRIES = 30; // of a request that found the queue full
const STEPS = 8; // of a blend between two nets

// What was chosen stays while the page is open.
const kept = { file: null, name: '', nets: ['', '', ''], opacity: 0.6, outlines: true, safe: false };

export async function showTry(main, wanted) {
  const [nets, info] = await Promise.all([askJson('/api/nets'), askJson('/api/info')]);
  const usable = nets.filter((net) => !net.refusal);
  if (!usable.length) {
    main.append(make('div', { class: 'card' }, make('h2', {}, 'No net is at hand'), make('p', {}, 'Train one with ', make('code', {}, 'python solve.py'), ', fetch one with ', make('code', {}, 'python prepare.py fcn-weights voc-fcn8s'), ', or name one: ', make('code', {}, 'python serve.py voc-fcn8s=FILE.caffemodel'), '. Then load this page again.')));
    return null;
  }
  const view = new TryView(main, usable, info);
  if (wanted && usable.some((net) => net.id === wanted)) kept.nets = [wanted, '', ''];
  view.build();
  if (kept.file && !wanted) view.start();
  return () => view.leave();
}

class TryView {
  constructor(main, nets, info) {
    Object.assign(this, { main, nets, info, hidden: new Set(), mode: 'labels', label: null, heatClass: 0, share: 0 });
    this.running = null;
    this.job = null;
    this.cache = new Map();
    const best = [...nets].sort((a, b) => a.stride - b.stride || (b.mean_iu ?? 0) - (a.mean_iu ?? 0))[0];
    kept.nets = kept.nets.map((id) => (nets.some((net) => net.id === id) ? id : ''));
    if (!kept.nets[0]) kept.nets[0] = best.id;
  }

  build() {
    this.input = make('input', { type: 'file', accept: 'image/*', hidden: true, onchange: () => this.take(this.input.files[0]) });
    const limit = `${Math.round(this.info.max_bytes / 2 ** 20)} MB and ${Math.round(this.info.max_pixels / 1e6)} megapixels`;
    this.drop = make('div', { class: 'drop' },
      make('p', {}, 'Drop or paste a photo here, or'),
      make('div', { class: 'row center' },
        make('button', { class: 'main', id: 'choose', onclick: () => this.input.click() }, 'Choose a photo'),
        make('button', { id: 'webcam', onclick: () => this.webcam() }, 'Webcam')),
      this.input,
      make('div', { class: 'examples' }, this.info.examples.map((name, place) =>
        make('button', { title: name, onclick: () => this.example(place, name) }, make('img', { src: `/api/examples/${place}`, alt: `example ${name}` })))),
      make('p', { class: 'small soft' }, `Up to ${limit}. The server keeps it for a while, in a private folder, among the last results.`));
    this.drop.querySelector('.row').style.justifyContent = 'center';
    this.picks = LETTERS.map((letter, index) => make('select', { id: `net-${letter}`, onchange: (event) => { kept.nets[index] = event.target.value; this.start(); } },
      index ? make('option', { value: '' }, 'none') : [],
      this.nets.map((net) => make('option', { value: net.id, selected: kept.nets[index] === net.id }, describe(net)))));
    this.status = make('p', { class: 'small', role: 'status' });
    this.bar = make('progress', { max: 1, value: 0, hidden: true, 'aria-label': 'progress' });
    this.cancel = make('button', { hidden: true, onclick: () => this.stop() }, 'Cancel');
    this.alert = make('p', { class: 'bad', role: 'alert' });
    this.stage = new Stage((pixel) => this.read(pixel));
    this.names = make('div', { class: 'names' });
    this.readout = make('p', { class: 'read soft', 'aria-live': 'off' });
    this.video = make('video', { autoplay: true, muted: true, playsinline: true, hidden: true });
    this.shutter = make('button', { class: 'main', hidden: true, onclick: () => this.shoot() }, 'Take the picture');
    this.controls = make('div', { class: 'card fields', hidden: true });
    this.classes = make('div', { class: 'card', hidden: true });
    this.facts = make('div', { class: 'card', hidden: true });
    this.viewer = make('div', { class: 'card', hidden: true }, this.stage.element, this.video, this.shutter, this.names, this.readout);
    this.main.append(make('div', { class: 'columns' },
      make('div', { class: 'side' }, make('div', { class: 'card' }, this.drop, this.status, this.bar, this.cancel, this.alert), this.viewer),
      make('div', { class: 'side' },
        make('div', { class: 'card fields' },
          field('Net', this.picks[0]), field('Compare with', this.picks[1]), field('and with', this.picks[2]),
          make('a', { class: 'small', href: `#nets/${encodeURIComponent(kept.nets[0])}`, id: 'about-net' }, 'How this net is built')),
        this.controls, this.classes, this.facts)));
    for (const kind of ['dragover', 'dragleave', 'drop']) {
      this.main.addEventListener(kind, this.onDrag = (event) => {
        event.preventDefault();
        this.drop.classList.toggle('over', event.type === 'dragover');
        if (event.type === 'drop') this.take(event.dataTransfer.files[0]);
      });
    }
    this.onPaste = (event) => {
      const file = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith('image/'));
      if (file) this.take(file);
    };
    document.addEventListener('paste', this.onPaste);
  }

  leave() {
    document.removeEventListener('paste', this.onPaste);
    this.closeWebcam();
    this.running?.abort();
    const fresh = this.main.cloneNode(false);
    this.main.replaceWith(fresh); // with its listeners
  }

  take(file) {
    if (!file) return;
    this.closeWebcam();
    this.input.value = '';
    if (file.size > this.info.max_bytes) {
      this.say('', `This file has ${(file.size / 2 ** 20).toFixed(1)} MB, and the server takes ${Math.round(this.info.max_bytes / 2 ** 20)}; scale the picture down.`);
      return;
    }
    kept.file = file;
    kept.name = file.name || 'picture';
    this.start();
  }

  async example(place, name) {
    try {
      const blob = await (await ask(`/api/examples/${place}`)).blob();
      this.take(new File([blob], name));
    } catch (error) {
      this.say('', error.message);
    }
  }

  async webcam() {
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 } } });
    } catch (error) {
      this.say('', `The webcam cannot be used (${error?.message ?? 'this address is not secure'}); browsers allow it on localhost and over https.`);
      return;
    }
    this.video.srcObject = this.stream;
    this.viewer.hidden = this.video.hidden = this.shutter.hidden = false;
    this.stage.element.hidden = true;
    this.shutter.focus();
  }

  shoot() {
    const canvas = make('canvas', { width: this.video.videoWidth, height: this.video.videoHeight });
    canvas.getContext('2d').drawImage(this.video, 0, 0);
    canvas.toBlob((blob) => this.take(new File([blob], 'webcam.jpg')), 'image/jpeg', 0.92);
  }

  closeWebcam() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.video.hidden = this.shutter.hidden = true;
    this.stage.element.hidden = false;
  }

  say(status, alert = '', share = null) {
    this.status.textContent = status;
    this.alert.textContent = alert;
    this.bar.hidden = share === null;
    if (share !== null) this.bar.value = share;
    this.cancel.hidden = share === null;
  }

  stop() {
    this.running?.abort();
    this.say('Cancelled.');
  }

  chosen() {
    return kept.nets.filter((id, index) => id && kept.nets.indexOf(id) === index);
  }

  async start() {
    if (!kept.file) return;
    this.running?.abort();
    const running = (this.running = new AbortController());
    const { signal } = running;
    document.getElementById('about-net').href = `#nets/${encodeURIComponent(kept.nets[0])}`;
    let job = null;
    try {
      this.say('Sends the picture …', '', 0);
      for (let count = 1; ; count += 1) {
        try {
          job = await askJson(`/api/jobs?${query({ net: this.chosen() })}`, { method: 'POST', body: kept.file, signal });
          break;
        } catch (error) {
          if (error.status !== 429 || count === TRIES) throw error;
          this.say('The queue is full; asks again …', '', 0);
          await wait(error.retry || 1);
          signal.throwIfAborted();
        }
      }
      job = await follow(job, (news) => { if (!signal.aborted) this.say(told(news), '', news.share); }, signal);
      await this.show(job);
      if (signal.aborted) return;
      this.say(`${kept.name}: ${job.result.width} × ${job.result.height} pixels`);
    } catch (error) {
      if (error.name === 'AbortError' || signal.aborted) {
        if (job && job.state !== 'done') fetch(`/api/jobs/${job.id}`, { method: 'DELETE', keepalive: true }).catch(() => {});
        return;
      }
      this.say('', error.message);
    }
  }

  address(index, file, parameters = {}) {
    return `/api/jobs/${this.job.id}/${index === null ? '' : `${index}/`}${file}?${query({ label: this.label, ...parameters })}`;
  }

  pixels(address) {
    if (!this.cache.has(address)) this.cache.set(address, loadPixels(address));
    return this.cache.get(address);
  }

  about(index) {
    return this.job.result.results[index].labels[this.label];
  }

  // What the classes of a net have of the image by all nets together, so that a class has one colour.
  shares(index) {
    const all = this.job.result.results.map((_, other) => this.about(other));
    return this.about(index).classes.map((name) => all.reduce((sum, about) => sum + (about?.shares[about.classes.indexOf(name)] ?? 0), 0));
  }

  async show(job) {
    this.job = job;
    this.cache.clear();
    this.kinds = Object.keys(job.result.results[0].labels);
    if (!this.kinds.includes(this.label)) this.label = this.kinds[0];
    const image = new Image();
    image.src = `/api/jobs/${job.id}/image.jpg`;
    await image.decode();
    this.hidden.clear();
    this.share = 0;
    this.viewer.hidden = this.controls.hidden = this.classes.hidden = this.facts.hidden = false;
    this.drop.classList.add('compact');
    this.stage.setImage(image, job.result.width, job.result.height);
    this.morphable = this.stages().length > 1;
    if (this.mode === 'morph' && !this.morphable) this.mode = 'labels';
    this.buildControls();
    await this.redraw();
    this.buildFacts();
  }

  // The nets from coarse to fine, if their classes are the same.
  stages() {
    const { results } = this.job.result;
    const same = results.every((result, index) => String(this.about(index)?.classes) === String(this.about(0).classes) && this.about(index).probabilities);
    if (!same) return [];
    const stride = (index) => this.nets.find((net) => net.id === results[index].net)?.stride ?? 0;
    return results.map((_, index) => index).sort((a, b) => stride(b) - stride(a));
  }

  buildControls() {
    const changed = () => this.redraw();
    const modes = [['labels', 'Labels'], ['heat', 'Probability of one class'], ...(this.morphable ? [['morph', 'Morph from coarse to fine']] : [])];
    const names = this.about(0).classes;
    this.heatClass = Math.min(this.heatClass, names.length - 1);
    if (!this.heatClass && names[0] === 'background') this.heatClass = this.about(0).shares.map((share, index) => [index ? share : -1, index]).sort((a, b) => b[0] - a[0])[0][1];
    const mode = make('select', { id: 'mode', onchange: (event) => { this.mode = event.target.value; this.buildControls(); changed(); } }, modes.map(([value, text]) => make('option', { value, selected: value === this.mode }, text)));
    const opacity = make('input', { type: 'range', id: 'opacity', min: 0, max: 1, step: 0.02, value: String(kept.opacity), oninput: (event) => { kept.opacity = Number(event.target.value); this.stage.setOpacity(kept.opacity); } });
    const parts = [field('Show', mode)];
    if (this.kinds.length > 1) {
      parts.push(field('Labels', make('select', { onchange: (event) => { this.label = event.target.value; this.hidden.clear(); this.buildControls(); changed(); this.buildFacts(); } }, this.kinds.map((kind) => make('option', { value: kind, selected: kind === this.label }, kind)))));
    }
    if (this.mode === 'heat') {
      parts.push(field('Class', make('select', { id: 'heat-class', onchange: (event) => { this.heatClass = Number(event.target.value); changed(); } }, names.map((name, index) => make('option', { value: String(index), selected: index === this.heatClass }, name)))));
    }
    if (this.mode === 'morph') {
      const last = this.stages().length - 1;
      parts.push(field(`Stride ${this.strides().join(' → ')}`, make('input', { type: 'range', id: 'morph', min: 0, max: last, step: 1 / STEPS, value: String(this.share), oninput: (event) => { this.share = Number(event.target.value); changed(); } })));
    }
    parts.push(field('Opacity', opacity));
    const check = (key, text) => make('label', {}, make('input', { type: 'checkbox', id: key, checked: kept[key], onchange: (event) => { kept[key] = event.target.checked; changed(); } }), ` ${text}`);
    if (this.mode !== 'heat') parts.push(check('outlines', 'Outlines'), check('safe', 'Colours for the colour-blind'));
    this.controls.replaceChildren(...parts);
    this.stage.setOpacity(kept.opacity);
  }

  strides() {
    return this.stages().map((index) => this.nets.find((net) => net.id === this.job.result.results[index].net)?.stride ?? '?');
  }

  async redraw() {
    const job = this.job;
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const { results } = job.result;
    try {
      let layers, views;
      if (this.mode === 'morph') {
        const order = this.stages();
        const low = Math.min(Math.floor(this.share), order.length - 2);
        const view = await this.pixels(this.address(null, 'blend.png', { first: order[low], second: order[low + 1], share: this.share - low }));
        views = [view];
        layers = [paint(view, this.about(0), { ...kept, shares: this.shares(0), hidden: this.hidden })];
      } else {
        views = await Promise.all(results.map((_, index) => this.pixels(this.address(index, 'view.png'))));
        if (this.mode === 'heat') {
          const maps = await Promise.all(results.map((_, index) => this.pixels(this.address(index, 'heat.png', { class: this.heatClass }))));
          this.heats = maps;
          layers = maps.map(heat);
        } else {
          layers = views.map((view, index) => paint(view, this.about(index), { ...kept, shares: this.shares(index), hidden: this.hidden }));
        }
      }
      if (turn !== this.turn || job !== this.job) return;
      this.views = views;
      this.stage.setLayers(layers);
      this.names.replaceChildren(...(this.mode === 'morph' ? [make('span', {}, `stride ${this.strides().join(' → ')}`)] : results.map((result, index) => make('span', {}, results.length > 1 ? `${LETTERS[index]}: ${result.name}` : result.name))));
      this.buildClasses();
    } catch (error) {
      this.say('', error.message);
    }
  }

  buildClasses() {
    const about = this.about(0);
    const colours = colouring(about, kept.safe && this.mode !== 'heat', this.shares(0));
    const { results } = this.job.result;
    const share = (index, result) => {
      const other = result.labels[this.label];
      return other?.shares[other.classes.indexOf(about.classes[index])] ?? 0;
    };
    const rows = about.classes.map((name, index) => [name, index])
      .filter(([, index]) => results.some((result) => share(index, result) > 0))
      .sort((a, b) => share(b[1], results[0]) - share(a[1], results[0]))
      .map(([name, index]) => {
        const swatch = make('span', { class: 'swatch', 'aria-hidden': 'true' });
        const [[r, g, b], striped] = colours[index];
        swatch.style.background = striped ? `repeating-linear-gradient(45deg, rgb(${r} ${g} ${b}) 0 4px, #303030 4px 8px)` : `rgb(${r} ${g} ${b})`;
        const box = make('input', { type: 'checkbox', checked: !this.hidden.has(index), onchange: (event) => { if (event.target.checked) this.hidden.delete(index); else this.hidden.add(index); this.redraw(); } });
        return make('tr', {}, make('td', {}, make('label', {}, box, ' ', swatch, name)), results.map((result) => make('td', { class: 'number' }, percent(share(index, result)))));
      });
    this.classes.replaceChildren(make('h2', {}, 'Classes'), make('table', {},
      make('thead', {}, make('tr', {}, make('th', {}, 'shown'), results.map((_, index) => make('th', { class: 'number' }, results.length > 1 ? LETTERS[index] : 'share')))),
      make('tbody', {}, rows)));
  }

  buildFacts() {
    const { result } = this.job;
    const times = result.results.flatMap((each, index) => [make('dt', {}, `forward, ${result.results.length > 1 ? `${LETTERS[index]} ` : ''}${each.name}`), make('dd', {}, duration(each.forward))]);
    const drawn = result.draw_image + result.results.reduce((sum, each) => sum + each.draw, 0);
    const files = result.results.map((each, index) => make('p', { class: 'small' }, `${result.results.length > 1 ? `${LETTERS[index]}: ` : ''}`,
      make('a', { href: this.address(index, 'labels.png'), download: 'labels.png' }, 'labels'), ' · ',
      make('a', { href: this.address(index, 'overlay.jpg', { opacity: kept.opacity }), download: 'overlay.jpg' }, 'overlay'), ' · ',
      this.about(index).probabilities ? make('a', { href: this.address(index, 'probabilities.npy'), download: 'probabilities.npy' }, 'probabilities') : make('span', { class: 'soft' }, 'probabilities of large photos are not kept')));
    this.facts.replaceChildren(make('h2', {}, 'Time'), make('dl', {}, make('dt', {}, 'decode'), make('dd', {}, duration(result.decode)), times, make('dt', {}, 'draw'), make('dd', {}, duration(drawn))), make('h3', {}, 'Download'), ...files);
  }

  // What the nets say of a pixel; the receptive field of the cell that scored it is drawn.
  read(pixel) {
    if (!pixel || !this.views) {
      this.readout.textContent = this.views ? 'Point at the image to see class, probability, and what that output sees.' : '';
      this.stage.setField(null);
      return;
    }
    const { x, y } = pixel;
    const { results } = this.job.result;
    const at = 4 * (y * this.job.result.width + x);
    const lines = this.views.map((view, index) => {
      const about = this.about(index);
      const name = about.classes[view.data[at]] ?? 'void';
      const letter = this.views.length > 1 ? `${LETTERS[index]} ` : '';
      if (this.mode === 'heat') return `${letter}${about.classes[this.heatClass]} ${percent(this.heats[index].data[at] / 255, 0)}`;
      return `${letter}${name} ${percent(view.data[at + 1] / 255, 0)}`;
    });
    const under = this.mode === 'morph' ? this.stages()[Math.round(this.share)] : Math.min(pixel.part, results.length - 1);
    const net = this.nets.find((each) => each.id === results[under].net);
    const grid = net?.cells[this.label];
    let sees = '';
    if (grid) {
      const cells = [x, y].map((place) => Math.round((place + grid.shift) / grid.stride));
      const field = cells.map((cell) => [grid.stride * cell + grid.low, grid.stride * cell + grid.high]);
      const cell = cells.map((each) => [grid.stride * (each - 0.5) - grid.shift, grid.stride * (each + 0.5) - grid.shift]);
      this.stage.setField({ field, cell });
      sees = ` This output of ${net.net} has stride ${grid.stride} and sees ${grid.high - grid.low + 1} × ${grid.high - grid.low + 1} pixels.`;
    }
    this.readout.textContent = `(${x}, ${y}): ${lines.join(', ')}.${sees}`;
  }
}

function describe(net) {
  const name = net.id.replace(/^(run|file|published):/, '');
  const score = net.mean_iu ?? (net.published_mean_iu === null ? null : net.published_mean_iu / 100);
  return `${name} · stride ${net.stride}${score === null ? '' : ` · IU ${(100 * score).toFixed(1)}`}`;
}
