// The picture: an image, up to three layers of labels side by side with handles between them, and the
// receptive field of what the pointer is at.

import { make } from './dom.js';

const TINY = 480; // pixels of a side below which pixels are shown as squares

export class Stage {
  // `point` hears of {x, y, part} under the pointer, and of null.
  constructor(point) {
    this.point = point;
    this.canvas = make('canvas', { tabindex: '0', role: 'img', 'aria-label': 'the image with its labels; arrow keys move the pointer' });
    this.over = make('canvas', { 'aria-hidden': 'true' });
    Object.assign(this.over.style, { position: 'absolute', inset: '0', pointerEvents: 'none' });
    this.frame = make('div', { class: 'frame' }, this.canvas, this.over);
    this.element = make('div', { class: 'stage' }, this.frame);
    this.layers = [];
    this.cuts = [];
    this.opacity = 0.6;
    this.canvas.addEventListener('pointermove', (event) => this.#moved(event));
    this.canvas.addEventListener('pointerdown', (event) => this.#moved(event));
    this.canvas.addEventListener('pointerleave', () => this.point(null));
    this.canvas.addEventListener('keydown', (event) => this.#keyed(event));
  }

  setImage(image, width, height) {
    Object.assign(this, { image, width, height });
    for (const canvas of [this.canvas, this.over]) Object.assign(canvas, { width, height });
    this.canvas.classList.toggle('tiny', Math.max(width, height) < TINY);
    this.frame.style.aspectRatio = `${width} / ${height}`;
    // As large as fits, but small pictures are not blown up without end.
    this.frame.style.width = `min(100%, ${Math.max(width, Math.min(5 * width, 640))}px, ${(74 * width) / height}vh)`;
    this.at = null;
    this.layers = [];
    this.setField(null);
    this.point(null);
  }

  setLayers(layers) {
    const count = layers.length;
    if (count !== this.layers.length) {
      this.cuts = Array.from({ length: count - 1 }, (_, index) => (index + 1) / count);
    }
    this.layers = layers;
    this.#placeHandles();
    this.draw();
  }

  setOpacity(opacity) {
    this.opacity = opacity;
    this.draw();
  }

  setField(field) {
    const context = this.over.getContext('2d');
    context.clearRect(0, 0, this.over.width, this.over.height);
    if (!field) return;
    const thick = Math.max(1, this.width / 400);
    const box = ([[left, right], [top, bottom]], colour, dash) => {
      for (const [ink, more] of [['#000', 1.2], [colour, 0]]) {
        context.strokeStyle = ink;
        context.lineWidth = thick * (1 + more);
        context.setLineDash(dash.map((each) => each * thick));
        context.strokeRect(left, top, right - left + 1, bottom - top + 1);
      }
    };
    box(field.field, '#fff', [6, 4]);
    box(field.cell, '#f0e442', []);
  }

  draw() {
    if (!this.image) return;
    const context = this.canvas.getContext('2d');
    context.globalAlpha = 1;
    context.drawImage(this.image, 0, 0, this.width, this.height);
    context.globalAlpha = this.opacity;
    const cuts = [0, ...this.cuts, 1];
    this.layers.forEach((layer, index) => {
      const left = Math.round(cuts[index] * this.width), right = Math.round(cuts[index + 1] * this.width);
      if (right > left) context.drawImage(layer, left, 0, right - left, this.height, left, 0, right - left, this.height);
    });
    context.globalAlpha = 1;
  }

  #placeHandles() {
    if (this.handles?.length !== this.cuts.length) {
      this.handles?.forEach((handle) => handle.remove());
      this.handles = this.cuts.map((_, index) => this.#handle(index));
      this.frame.append(...this.handles);
    }
    this.handles.forEach((handle, index) => {
      handle.style.left = `${100 * this.cuts[index]}%`;
      handle.setAttribute('aria-valuenow', Math.round(100 * this.cuts[index]));
    });
  }

  #handle(index) {
    const handle = make('div', { class: 'handle', role: 'slider', tabindex: '0', 'aria-label': `border between net ${'ABC'[index]} and net ${'ABC'[index + 1]}`, 'aria-valuemin': '0', 'aria-valuemax': '100' });
    const move = (place) => {
      const low = index ? this.cuts[index - 1] : 0, high = this.cuts[index + 1] ?? 1;
      this.cuts[index] = Math.min(high, Math.max(low, place));
      this.#placeHandles();
      this.draw();
    };
    handle.addEventListener('pointerdown', (event) => handle.setPointerCapture(event.pointerId));
    handle.addEventListener('pointermove', (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const box = this.frame.getBoundingClientRect();
      move((event.clientX - box.left) / box.width);
    });
    handle.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
      if (step) {
        event.preventDefault();
        move(this.cuts[index] + step);
      }
    });
    return handle;
  }

  #tell(x, y) {
    this.at = { x: Math.min(this.width - 1, Math.max(0, x)), y: Math.min(this.height - 1, Math.max(0, y)) };
    const share = (this.at.x + 0.5) / this.width;
    this.point({ ...this.at, part: this.cuts.filter((cut) => cut < share).length });
  }

  #moved(event) {
    if (!this.layers.length) return;
    const box = this.canvas.getBoundingClientRect();
    this.#tell(Math.floor(((event.clientX - box.left) / box.width) * this.width), Math.floor(((event.clientY - box.top) / box.height) * this.height));
  }

  #keyed(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!steps || !this.layers.length) return;
    event.preventDefault();
    const far = Math.max(1, Math.round(this.width / 100)) * (event.shiftKey ? 5 : 1);
    const from = this.at ?? { x: this.width >> 1, y: this.height >> 1 };
    this.#tell(from.x + far * steps[0], from.y + far * steps[1]);
  }
}
