// The API, from its own description.

import { askJson, make } from './dom.js';

export async function showApi(main) {
  const described = await askJson('/api/openapi.json');
  const nets = await askJson('/api/nets');
  const net = nets.find((each) => !each.refusal)?.id ?? 'NET';
  const rows = Object.entries(described.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) =>
      make('tr', {}, make('td', {}, make('code', {}, `${method.toUpperCase()} ${path}`)), make('td', {}, operation.description ?? operation.summary))));
  main.append(
    make('div', { class: 'card' },
      make('h2', {}, 'For programs'),
      make('p', {}, 'What this page does, programs can do: ', make('a', { href: '/api/openapi.json' }, 'openapi.json'), ' describes it, ', make('a', { href: '/metrics' }, '/metrics'), ' and ', make('a', { href: '/healthz' }, '/healthz'), ' are for those who look after servers.'),
      make('pre', {}, `curl --data-binary @photo.jpg '${location.origin}/api/labels?net=${encodeURIComponent(net)}' > labels.png`),
      make('div', { class: 'scroll' }, make('table', {}, make('thead', {}, make('tr', {}, make('th', {}, 'Request'), make('th', {}, 'What it does'))), make('tbody', {}, rows)))));
}
