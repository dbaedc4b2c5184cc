// Elements made by hand, and the server asked. No text of the server is ever taken for markup.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== 'string') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.flat());
  return element;
}

export function field(title, control) {
  return make('label', { class: 'field' }, make('span', {}, title), control);
}

export class ServerError extends Error {
  constructor(status, message, retry) {
    super(message);
    this.status = status;
    this.retry = retry;
  }
}

export async function ask(address, options = {}) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ServerError(0, 'the server does not answer; is it still running?');
  }
  if (!answer.ok && answer.status !== 304) {
    let text = `${answer.status} ${answer.statusText}`;
    try {
      text = (await answer.json()).error ?? text;
    } catch {
      // It was no answer of ours.
    }
    throw new ServerError(answer.status, text, Number(answer.headers.get('retry-after')) || 0);
  }
  return answer;
}

export const askJson = async (address, options) => (await ask(address, options)).json();

export function query(parameters) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of [value].flat()) {
      if (each !== undefined && each !== null && each !== '') search.append(name, each);
    }
  }
  return search.toString();
}

export const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

export function percent(share, digits = 1) {
  return share === null || share === undefined ? '–' : `${(100 * share).toFixed(digits)} %`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return '–';
  if (seconds < 1) return `${Math.round(1000 * seconds)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  return `${(seconds / 86400).toFixed(1)} days`;
}

// Waits for a job to end; tells each change.
export async function follow(job, tell, signal) {
  while (job.state === 'waiting' || job.state === 'running') {
    tell(job);
    job = await askJson(`/api/jobs/${job.id}?after=${job.version}`, { signal });
  }
  tell(job);
  if (job.state === 'failed') throw new ServerError(422, job.error);
  return job;
}

export function told(job) {
  if (job.state === 'waiting') {
    return job.position ? `${job.position} ${job.position === 1 ? 'image' : 'images'} before yours` : 'next';
  }
  if (job.state !== 'running') return '';
  const net = job.net.replace(/^(run|file|published):/, '');
  return job.layer ? `${job.layer} of ${net}: ${Math.round(100 * job.share)} %` : `loads ${net}`;
}
