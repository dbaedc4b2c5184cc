// Watch: runs with their state, curves as they grow, and a film strip of what snapshots see.

import { ask, askJson, duration, field, follow, make, percent, query, told } from './dom.js';
import { chart, short } from './plot.js';
import { loadPixels, paint } from './paint.js';

const EVERY = 2; // seconds between looks
const LIST = 5; // looks between those at the list
const STATES = { running: '▶ running', finished: '✓ finished', interrupted: '‖ interrupted', diverged: '✕ diverged', begun: '… begun' };

export async function showWatch(main, wanted) {
  const view = new WatchView(main, wanted ? wanted.split('|') : []);
  await view.build();
  return () => view.leave();
}

class WatchView {
  constructor(main, chosen) {
    Object.assign(this, { main, chosen: new Set(chosen), details: new Map(), tags: new Map(), looks: 0 });
  }

  async build() {
    this.list = make('div', { class: 'card' });
    this.charts = make('div', { class: 'charts' });
    this.facts = make('div', { class: 'card', hidden: true });
    this.film = make('div', { class: 'card', hidden: true });
    this.log = make('div', { class: 'card', hidden: true });
    this.alert = make('p', { class: 'bad', role: 'alert' });
    this.column = make('div', { class: 'side' }, this.list, this.charts, this.film, make('div', { class: 'pair' }, this.facts, this.log), this.alert);
    this.main.append(this.column);
    await this.look();
    this.timer = setInterval(() => this.look(), 1000 * EVERY);
  }

  leave() {
    clearInterval(this.timer);
    this.following?.abort();
  }

  async look() {
    if (this.looking || document.hidden) return;
    this.looking = true;
    try {
      if (this.looks % LIST === 0) {
        this.runs = await askJson('/api/runs');
        if (!this.chosen.size && this.runs.length) this.chosen.add(this.runs[0].id);
        this.showList();
      }
      this.looks += 1;
      const changed = await Promise.all([...this.chosen].map((id) => this.read(id)));
      if (changed.some(Boolean) || this.redrawn !== [...this.chosen].join('|')) this.showRuns();
      this.alert.textContent = '';
    } catch (error) {
      this.alert.textContent = error.message;
    } finally {
      this.looking = false;
    }
  }

  async read(id) {
    const answer = await ask(`/api/run?${query({ id })}`, { headers: this.tags.has(id) ? { 'If-None-Match': this.tags.get(id) } : {}, cache: 'no-store' });
    if (answer.status === 304) return false;
    this.tags.set(id, answer.headers.get('etag'));
    this.details.set(id, await answer.json());
    return true;
  }

  showList() {
    if (!this.runs.length) {
      this.list.replaceChildren(make('h2', {}, 'No run yet'), make('p', {}, 'Start one with ', make('code', {}, 'python solve.py'), ', or open the folder of other runs: ', make('code', {}, 'python serve.py DIR'), '. This page looks again by itself.'));
      return;
    }
    const focused = document.activeElement?.dataset?.run;
    const rows = this.runs.map((run) => {
      const box = make('input', { type: 'checkbox', checked: this.chosen.has(run.id), 'aria-label': `show ${run.id}`, 'data-run': run.id, onchange: (event) => {
        if (event.target.checked) this.chosen.add(run.id); else this.chosen.delete(run.id);
        history.replaceState(null, '', `#watch/${encodeURIComponent([...this.chosen].join('|'))}`);
        this.look();
      } });
      const done = run.max_iter ? ` of ${run.max_iter}` : '';
      return make('tr', {}, make('td', {}, make('label', {}, box, ` ${run.id}`)), make('td', {}, make('span', { class: `state ${run.state}` }, STATES[run.state] ?? run.state)),
        make('td', { class: 'number' }, `${run.iteration}${done}`), make('td', { class: 'number' }, run.loss === null ? '–' : short(run.loss)),
        make('td', { class: 'number' }, percent(run.best_mean_iu)), make('td', { class: 'number' }, run.images_per_second === null ? '–' : run.images_per_second.toFixed(1)),
        make('td', { class: 'number' }, run.state === 'running' ? duration(run.seconds_left) : '–'));
    });
    this.list.replaceChildren(make('h2', {}, 'Runs'), make('div', { class: 'scroll' }, make('table', {},
      make('thead', {}, make('tr', {}, ['run', 'state'].map((text) => make('th', {}, text)), ['iteration', 'loss', 'best mean IU', 'images/s', 'time left'].map((text) => make('th', { class: 'number' }, text)))),
      make('tbody', {}, rows))));
    if (focused) [...this.list.querySelectorAll('input')].find((each) => each.dataset.run === focused)?.focus();
  }

  showRuns() {
    this.redrawn = [...this.chosen].join('|');
    const shown = [...this.chosen].map((id) => this.details.get(id)).filter(Boolean);
    const lines = (part, name, scale = 1, more = {}) => shown.map((run) => ({ name: run.id, x: run[part].iteration, y: run[part][name].map((value) => (value === null ? null : scale * value)), ...more }));
    const charts = [
      chart('Loss, smoothed', lines('training', 'smoothed_loss')),
      chart('Validation: mean IU, %', lines('validations', 'mean_iu', 100, { markers: true }), { unit: ' %' }),
      chart('Validation: loss', lines('validations', 'validation_loss', 1, { markers: true })),
      chart('Learning rate', lines('training', 'lr')),
      chart('Images per second', lines('training', 'images_per_second')),
    ];
    const alone = shown.length === 1 ? shown[0] : null;
    if (alone && Object.keys(alone.class_iu).length) {
      charts.splice(2, 0, chart('IU of each class, %', Object.entries(alone.class_iu).map(([name, values]) => ({ name, x: alone.validations.iteration, y: values.map((value) => (value === null ? null : 100 * value)), markers: true, always: true })), { unit: ' %' }));
    }
    this.charts.replaceChildren(...(shown.length ? charts : []));
    this.facts.hidden = this.log.hidden = !alone;
    if (alone) {
      const rows = [['state', STATES[alone.state] ?? alone.state], ['net', alone.net], ['iteration', `${alone.iteration}${alone.max_iter ? ` of ${alone.max_iter}` : ''}`], ['learning rate', alone.lr === null ? '–' : alone.lr.toExponential(2)], ['device', alone.device || '–'], ['time left', alone.state === 'running' ? duration(alone.seconds_left) : '–'], ['last line', alone.updated ? new Date(1000 * alone.updated).toLocaleString() : '–'], ['started from', alone.starts_from.join(', ') || 'drawn weights']];
      this.facts.replaceChildren(make('h2', {}, alone.id), alone.max_iter ? make('progress', { max: alone.max_iter, value: alone.iteration, 'aria-label': 'iterations done' }) : '', make('dl', {}, rows.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, String(value))])));
      const events = alone.events.map((event) => `${event.iteration}: ${event.event}`);
      this.log.replaceChildren(make('h2', {}, 'Log'), make('div', { class: 'log', tabindex: '0' }, [`$ ${alone.command}`, ...events, ...alone.validations.iteration.map((iteration, index) => `${iteration}: validated, mean IU ${percent(alone.validations.mean_iu[index])}`)].join('\n')));
    }
    if (alone?.id !== this.filmOf) {
      this.filmOf = alone?.id;
      this.showFilm(alone);
    }
  }

  async showFilm(run) {
    this.film.hidden = true;
    if (!run) return;
    let stages;
    try {
      stages = (await askJson(`/api/strip?${query({ id: run.id })}`)).nets;
    } catch {
      return; // A classifier, or a run without a snapshot yet.
    }
    const which = make('input', { type: 'number', min: '0', max: '9999', value: '0', 'aria-label': 'which image' });
    const status = make('p', { class: 'small', role: 'status' });
    const strip = make('div', { class: 'strip', tabindex: '0', role: 'group', 'aria-label': 'film strip' });
    const button = make('button', { class: 'main', onclick: () => this.shoot(run, which, status, strip, button) }, 'Show the film strip');
    this.film.replaceChildren(make('h2', {}, 'What its snapshots see'),
      make('p', { class: 'small soft' }, `An image of the validation, its true labels, and ${stages.map(plain).join(', ')}.`),
      make('div', { class: 'row' }, field('Image', which), button), status, strip);
    this.film.hidden = false;
  }

  async shoot(run, which, status, strip, button) {
    this.following?.abort();
    const following = (this.following = new AbortController());
    button.disabled = true;
    try {
      let job = await askJson(`/api/strip?${query({ id: run.id, image: which.value || 0 })}`, { method: 'POST', signal: following.signal });
      job = await follow(job, (news) => { status.textContent = told(news); }, following.signal);
      const { result } = job;
      const home = `/api/jobs/${job.id}`;
      const image = make('img', { src: `${home}/image.jpg`, alt: `image ${result.name}` });
      await image.decode();
      const first = Object.values(result.results[0].labels)[0];
      const frames = [make('figure', {}, image, make('figcaption', {}, result.name))];
      if (result.truth) frames.push(frame(image, paint(await loadPixels(`${home}/truth.png`), first), 'true labels'));
      for (const [index, each] of result.results.entries()) {
        const view = await loadPixels(`${home}/${index}/view.png`);
        frames.push(frame(image, paint(view, Object.values(each.labels)[0]), plain(each.net)));
      }
      strip.replaceChildren(...frames);
      status.textContent = '';
    } catch (error) {
      if (error.name !== 'AbortError') status.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  }
}

const plain = (id) => id.replace(/^(run|file|published):/, '').replace('@', ', iteration ');

function frame(image, layer, caption) {
  const canvas = make('canvas', { width: layer.width, height: layer.height, role: 'img', 'aria-label': caption });
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0, layer.width, layer.height);
  context.globalAlpha = 0.7;
  context.drawImage(layer, 0, 0);
  return make('figure', {}, canvas, make('figcaption', {}, caption));
}
