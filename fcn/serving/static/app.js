// The views, by the part of the address after #.

import { make } from './dom.js';
import { showApi } from './about.js';
import { showNets } from './nets.js';
import { showTry } from './try.js';
import { showWatch } from './watch.js';

const views = { try: showTry, watch: showWatch, nets: showNets, api: showApi };
const titles = { try: 'Try', watch: 'Watch', nets: 'Nets', api: 'API' };
let leave = null;

async function show() {
  const [name, ...rest] = (location.hash.slice(1) || 'try').split('/');
  const view = views[name] ? name : 'try';
  if (leave) leave();
  leave = null;
  document.title = `${titles[view]} – fcn`;
  for (const link of document.querySelectorAll('nav a')) {
    if (link.getAttribute('href') === `#${view}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  const main = document.getElementById('main');
  main.replaceChildren();
  try {
    leave = await views[view](main, rest.map(decodeURIComponent).join('/'));
  } catch (error) {
    main.append(make('p', { class: 'bad', role: 'alert' }, error.message));
  }
}

window.addEventListener('hashchange', show);
show();
