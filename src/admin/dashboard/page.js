'use strict';
// What this page shows comes from logs and networks: everything is written as text, never as markup.
const WORDS = JSON.parse(document.getElementById('words').textContent);
const SVG = 'http://www.w3.org/2000/svg';
const at = id => document.getElementById(id);

function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
  element.append(...children.filter(child => child !== null && child !== undefined && child !== ''));
  return element;
}

function drawn(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const cause = word => (WORDS.causes[word] || [word])[0];
const meaning = word => (WORDS.causes[word] || [word, ''])[1];
const fault = word => WORDS.faults[word] || word;
const percent = share => share > 0 && share < .001 ? '<0.1 %' : (share * 100).toFixed(share < .1 ? 1 : 0) + ' %';
const count = (number, noun) => number.toLocaleString('en') + ' ' + noun + (number === 1 ? '' : 's');

function span(ms) {
  if (ms === null || ms === undefined) return '–';
  if (ms < 10) return ms.toFixed(1) + ' ms';
  if (ms < 1000) return Math.round(ms) + ' ms';
  if (ms < 60e3) return (ms / 1000).toFixed(ms < 10e3 ? 1 : 0) + ' s';
  if (ms < 3600e3) return Math.round(ms / 60e3) + ' min';
  if (ms < 48 * 3600e3) return Math.round(ms / 3600e3) + ' h';
  return Math.round(ms / 86400e3) + ' days';
}

function moment(text, form) {
  const date = new Date(text);
  const day = date.toDateString() === new Date().toDateString() ? '' : date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' }) + ' ';
  return el('time', { datetime: text }, form === 'clock' ? date.toLocaleTimeString('en-GB') : day + date.toLocaleTimeString('en-GB'));
}

async function read(path) {
  const answer = await fetch(path, { headers: { accept: 'application/json' } });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail || answer.statusText);
  return body;
}

// ---- What is known, and when it was read ----
let upstreams = null, incidents = [], heard = null, opened = new Map();

async function look() {
  try {
    const [now, known] = await Promise.all([read('/api/upstreams'), read('/api/incidents?limit=50')]);
    upstreams = now;
    incidents = known.incidents;
    heard = Date.now();
    at('version').textContent = now.version;
    show();
  } catch (error) {
    lost(error);
  }
}

let soon = null;
function lookSoon() {
  if (soon === null) soon = setTimeout(() => { soon = null; look(); }, 300);
}

function lost(error) {
  const since = heard === null ? 'Nothing was heard yet' : 'What follows is from ' + span(Date.now() - heard) + ' ago';
  at('connection').className = 'lost';
  at('connection').textContent = 'why502 does not answer. ' + since + '.';
  if (heard === null) headline('why502 does not answer', error.message, true);
}

function headline(title, lead, bad) {
  const changed = at('headline').textContent !== title;
  at('headline').textContent = title;
  at('lead').textContent = lead;
  at('main').querySelector('.now').classList.toggle('bad', bad);
  document.title = (bad ? '✗ ' : '') + title + ' · why502';
  if (changed) at('told').textContent = title + '. ' + lead;
}

function show() {
  at('connection').className = '';
  at('connection').replaceChildren('As of ', moment(upstreams.at, 'clock'), upstreams.ready ? '' : '; not ready: it takes no new requests');
  const open = incidents.filter(incident => incident.closed === null);
  const out = upstreams.upstreams.flatMap(upstream => upstream.servers.filter(server => server.state !== 'up'));
  if (open.length > 0) {
    const first = open[0];
    const names = [...new Set(open.map(incident => incident.upstream))];
    const title = names.join(', ') + (names.length === 1 ? ' fails: ' : ' fail: ') + [...new Set(open.map(incident => cause(incident.cause).toLowerCase()))].join(', ');
    headline(title, first.detail, true);
  } else if (out.length > 0) {
    headline(count(out.length, 'server') + (out.length === 1 ? ' is out, and the others carry its share' : ' are out, and the others carry their share'), out.map(server => server.server).join(', '), false);
  } else {
    headline('All is well', upstreams.upstreams.length === 0 ? 'No upstream is configured.' : 'Every server gets requests, and no incident is open.', false);
  }
  at('open').hidden = open.length === 0;
  keep(at('open-body'), open.map(incident => [incident.incident, () => card(incident)]));
  keep(at('upstreams'), upstreams.upstreams.map(upstream => [upstream.name, () => panel(upstream)]));
  const over = incidents.filter(incident => incident.closed !== null);
  if (over.length > 0) keep(at('past'), over.map(incident => [incident.incident, () => past(incident)]));
}

// Writes the items anew, and leaves alone what somebody has opened or stands in.
function keep(place, items) {
  const before = new Map([...place.children].filter(child => child.dataset.key).map(child => [child.dataset.key, child]));
  const after = items.map(([key, make]) => {
    const known = before.get(key);
    const inUse = known && known.contains(document.activeElement) && document.activeElement !== document.body;
    const made = inUse ? known : make();
    made.dataset.key = key;
    return [made, known && known.querySelector('.scroll') ? known.querySelector('.scroll').scrollLeft : 0];
  });
  const scrolled = after.filter(([, left]) => left > 0);
  const made = after.map(([child]) => child);
  for (const child of [...place.children]) if (!made.includes(child)) child.remove();
  // What stays is not moved, or whoever stands in it would lose their place.
  made.forEach((child, index) => { if (place.children[index] !== child) place.insertBefore(child, place.children[index] || null); });
  for (const [child, left] of scrolled) child.querySelector('.scroll').scrollLeft = left;
}

// ---- Incidents ----
function facts(...pairs) {
  return el('p', { class: 'facts' }, ...pairs.filter(Boolean).map(([name, value, bad]) => el('span', {}, name + ' ', el('b', bad ? { class: 'bad' } : {}, value))));
}

function card(incident) {
  const until = incident.closed === null ? Date.now() : Date.parse(incident.closed);
  const faults = Object.entries(incident.faults).map(([word, times]) => fault(word) + ' (' + times.toLocaleString('en') + ')');
  return el('article', { 'aria-label': incident.upstream + ', ' + cause(incident.cause) },
    el('div', { class: 'row' }, el('h3', {}, incident.upstream + ': ' + cause(incident.cause)), el('small', {}, percent(incident.confidence) + ' sure')),
    el('p', {}, incident.detail),
    facts(['since', span(until - Date.parse(incident.opened))], ['seen by visitors', incident.count.toLocaleString('en') + '×', true], ['last', span(Date.now() - Date.parse(incident.last)) + ' ago'], incident.returns > 0 && ['came back', incident.returns + '×']),
    el('p', { class: 'note' }, faults.join(', ')),
    evidence(incident));
}

function past(incident) {
  const lasted = Date.parse(incident.closed) - Date.parse(incident.opened);
  return evidence(incident, el('summary', {}, el('h3', {}, moment(incident.opened), ' ' + incident.upstream + ': ' + cause(incident.cause) + ', ' + span(lasted) + ', ' + count(incident.count, 'failure') + (incident.cut_short ? ' (the program ended before it did)' : ''))));
}

// The evidence and the steps are read when somebody wants to see them, and stay.
function evidence(incident, summary) {
  const body = el('div', {});
  const details = el('details', {}, summary || el('summary', {}, 'Evidence and what to do'), body);
  const fill = known => body.replaceChildren(...story(known.answer, known.evidence, incident.closed === null ? null : incident.detail));
  details.addEventListener('toggle', async () => {
    if (!details.open) { opened.delete(incident.incident); return; }
    if (opened.has(incident.incident) && opened.get(incident.incident) !== null) { fill(opened.get(incident.incident)); return; }
    opened.set(incident.incident, null);
    try {
      const known = await read('/api/incidents/' + encodeURIComponent(incident.incident));
      opened.set(incident.incident, known);
      fill(known);
    } catch (error) {
      body.replaceChildren(el('p', { class: 'note' }, error.message));
    }
  });
  if (opened.has(incident.incident)) {
    if (opened.get(incident.incident) !== null) fill(opened.get(incident.incident));
    details.open = true;
  }
  return details;
}

function story(answer, found, detail) {
  const parts = [];
  if (detail) parts.push(el('p', {}, detail));
  const spoke = (answer && answer.evidence) || found || [];
  if (answer && answer.causes && answer.causes.length > 0) {
    parts.push(el('h4', {}, 'Likely causes'), el('ul', { class: 'causes' }, ...answer.causes.map(one => el('li', {}, el('span', {}, cause(one.cause)), el('span', {}, percent(one.confidence)), bar(one.confidence)))));
    parts.push(el('p', { class: 'note' }, meaning(answer.causes[0].cause)));
  }
  if (spoke.length > 0) {
    parts.push(el('h4', {}, 'Evidence'), el('ul', { class: 'evidence' }, ...spoke.map(one => el('li', {}, el('span', {}, (one.weight < 0 ? '−' : '+') + Math.abs(one.weight).toFixed(1)), el('div', {}, one.says + ' ', el('small', {}, (one.weight < 0 ? 'against ' : 'for ') + cause(one.points_to).toLowerCase()))))));
  }
  const steps = (answer && answer.checklist || []).filter(one => one.audience === 'owner');
  if (steps.length > 0) {
    parts.push(el('h4', {}, 'What to do'), el('ol', { class: 'steps' }, ...steps.map(one => el('li', {}, one.step, one.command ? el('pre', {}, one.command) : null))));
  }
  if (answer && answer.request_id) parts.push(el('p', { class: 'note' }, 'A request that failed so: ', link(answer.request_id)));
  if (parts.length === 0) parts.push(el('p', { class: 'note' }, 'Nothing more is known of it.'));
  return parts;
}

function bar(share) {
  return drawn('svg', { class: 'bar', viewBox: '0 0 100 4', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, drawn('rect', { width: 100, height: 4 }), drawn('rect', { class: 'full', width: share * 100, height: 4 }));
}

// ---- Upstreams ----
function panel(upstream) {
  const sum = key => upstream.hour.reduce((all, minute) => all + minute[key], 0);
  const requests = sum('requests'), errors = sum('errors');
  const timed = upstream.hour.filter(minute => minute.mean_ms !== null);
  const mean = requests > 0 ? timed.reduce((all, minute) => all + minute.mean_ms * minute.requests, 0) / requests : null;
  const latest = timed.length > 0 ? timed[timed.length - 1].p95_ms : null;
  const servers = upstream.servers.length;
  return el('article', { 'aria-label': upstream.name },
    el('div', { class: 'row' }, el('h3', {}, upstream.name), el('small', {}, upstream.servers_up + ' of ' + count(servers, 'server') + (servers === 1 ? ' gets' : ' get') + ' requests')),
    facts(['last hour', count(requests, 'request')], ['failed', requests > 0 ? percent(errors / requests) : '–', errors > 0], ['mean', span(mean)], ['95 % now within', span(latest)], upstream.waiting > 0 && ['waiting', String(upstream.waiting), true], upstream.retries > 0 && ['retried', upstream.retries.toLocaleString('en')]),
    chart(upstream.hour, requests, errors),
    pace(upstream.hour),
    el('p', { class: 'ends', 'aria-hidden': 'true' }, el('span', {}, 'an hour ago'), el('span', {}, 'now')),
    table(upstream));
}

function chart(hour, requests, errors) {
  const says = 'The last hour by the minute: ' + count(requests, 'request') + ', ' + errors.toLocaleString('en') + ' of them failed.';
  const most = Math.max(1, ...hour.map(minute => minute.requests));
  const svg = drawn('svg', { class: 'hour', viewBox: '0 0 610 64', preserveAspectRatio: 'none', role: 'img', 'aria-label': says });
  hour.forEach((minute, index) => {
    const x = (61 - hour.length + index) * 10;
    // The square root lets a quiet minute be seen beside a busy one, and a single error among many requests.
    const height = value => value === 0 ? 0 : Math.max(2, Math.sqrt(value / most) * 62);
    svg.append(drawn('rect', { class: 'all', x, width: 8, y: 63 - height(minute.requests), height: height(minute.requests) }));
    if (minute.errors > 0) svg.append(drawn('rect', { class: 'errors', x, width: 8, y: 63 - height(minute.errors), height: height(minute.errors) }));
  });
  svg.append(drawn('line', { class: 'base', x1: 0, x2: 610, y1: 63.5, y2: 63.5 }));
  return svg;
}

function pace(hour) {
  const known = hour.map((minute, index) => [(61 - hour.length + index) * 10 + 4, minute.p95_ms]).filter(([, value]) => value !== null);
  if (known.length < 2) return null;
  const values = known.map(([, value]) => value);
  const most = Math.max(...values, 1);
  const points = known.map(([x, value]) => x + ',' + (30 - Math.sqrt(value / most) * 28).toFixed(1)).join(' ');
  const says = 'What 95 % of requests were within, by the minute: from ' + span(Math.min(...values)) + ' to ' + span(Math.max(...values)) + '.';
  return drawn('svg', { class: 'pace', viewBox: '0 0 610 32', preserveAspectRatio: 'none', role: 'img', 'aria-label': says }, drawn('polyline', { points }));
}

function table(upstream) {
  const head = ['Server', 'State', 'Answering', 'Last minute', 'Last hour', 'In flight'];
  const rows = upstream.servers.map(server => el('tr', {},
    el('th', { scope: 'row' }, server.server, server.addresses.length > 0 && !server.server.includes(server.addresses[0]) ? el('small', {}, ' ' + server.addresses.join(', ')) : null),
    el('td', {}, el('span', { class: 'state ' + server.state }, server.state), why(server)),
    el('td', {}, server.answering ? span(server.answering.now_ms) : '–', server.answering && server.answering.now_ms > 2 * server.answering.usual_ms ? el('small', {}, 'usually ' + span(server.answering.usual_ms)) : null),
    el('td', {}, told(server.answered.last_minute, server.failed.last_minute), ...server.faults.slice(0, 2).map(one => el('small', {}, fault(one.fault) + ' (' + one.count + ')'))),
    el('td', {}, told(server.answered.last_hour, server.failed.last_hour)),
    el('td', {}, String(server.in_flight), el('small', {}, count(server.connections, 'connection') + ', ' + server.idle + ' idle'))));
  const whole = el('table', {}, el('caption', {}, 'Servers of ' + upstream.name), el('thead', {}, el('tr', {}, ...head.map(name => el('th', { scope: 'col' }, name)))), el('tbody', {}, ...rows));
  return el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Servers of ' + upstream.name }, whole);
}

const told = (answered, failed) => answered.toLocaleString('en') + ' answered' + (failed > 0 ? ', ' + failed.toLocaleString('en') + ' failed' : '');

function why(server) {
  const check = server.check;
  if (server.state === 'down' && check) return el('small', {}, 'checks: ' + (check.fault ? fault(check.fault) : 'status ' + check.status) + ', ' + span(check.ago_ms) + ' ago');
  if (server.state === 'ejected') return el('small', {}, 'for ' + span(server.ejected_for_ms) + ', after failures');
  if (server.failing_for_ms !== null) return el('small', {}, 'failing for ' + span(server.failing_for_ms));
  return server.last_answer_ms === null ? el('small', {}, 'not asked yet') : el('small', {}, 'answered ' + span(server.last_answer_ms) + ' ago');
}

// ---- As it happens ----
const EVENTS = ['upstream_failure', 'incident_opened', 'incident_closed', 'server_ejected', 'server_returned', 'reloaded', 'reload_refused', 'notice', 'stopped'];

function says(event) {
  switch (event.event) {
    case 'upstream_failure': return [event.upstream + ': ' + fault(event.fault) + (event.retried ? ', hidden by a retry' : ''), event.method + ' ' + event.host + event.path];
    case 'incident_opened': return ['Incident: ' + event.upstream + ', ' + cause(event.cause), event.detail];
    case 'incident_closed': return ['Over: ' + event.upstream + ', ' + cause(event.cause), count(event.count, 'failure')];
    case 'server_ejected': return [event.server + ' gets no requests', event.upstream + ', ' + (event.by === 'health' ? 'by its checks' : 'after ' + count(event.failures, 'failure') + ' in a row')];
    case 'server_returned': return [event.server + ' gets requests again', event.upstream];
    case 'reloaded': return ['The configuration was read again', event.changed.join(', ') || 'nothing has changed'];
    case 'reload_refused': return ['The configuration is wrong, and the old one stays', event.problems.join('; ')];
    case 'notice': return ['Notice', event.message];
    case 'stopped': return ['why502 has stopped', event.reason];
    default: return [event.event, ''];
  }
}

function link(id) {
  const button = el('button', { type: 'button', class: 'link' }, id);
  button.addEventListener('click', () => { location.hash = 'request=' + encodeURIComponent(id); if (current() === id) find(id); });
  return button;
}

// In an outage the same happens again and again: that is one line, which counts.
let latest = null;
function happened(event) {
  const [title, more] = says(event);
  if (latest !== null && latest.title === title && latest.more === more) {
    latest.times += 1;
    latest.item.querySelector('.times').textContent = latest.times.toLocaleString('en') + '× ';
    latest.item.querySelector('time').replaceWith(moment(event.ts, 'clock'));
    const known = latest.item.querySelector('.link');
    if (known && known !== document.activeElement) known.replaceWith(link(event.request_id));
  } else {
    const item = el('li', {}, moment(event.ts, 'clock'), el('div', {}, el('span', { class: 'times' }), el('b', event.level === 'error' ? { class: 'error' } : {}, title), ' ', el('small', {}, more), event.request_id ? el('div', {}, link(event.request_id)) : null));
    latest = { title, more, item, times: 1 };
    const list = at('events');
    list.prepend(item);
    while (list.children.length > 50 && !list.lastElementChild.contains(document.activeElement)) list.lastElementChild.remove();
    at('no-events').hidden = true;
  }
  if (event.event !== 'upstream_failure') lookSoon();
}

function listen() {
  const source = new EventSource('/api/events?events=' + EVENTS.join(','));
  for (const name of EVENTS) source.addEventListener(name, message => happened(JSON.parse(message.data)));
  // The stream was too slow a moment ago; what was missed is read anew.
  source.addEventListener('cut', () => { source.close(); setTimeout(listen, 2000); look(); });
  source.addEventListener('error', () => { if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000); });
}

// ---- One request's story ----
const current = () => new URLSearchParams(location.hash.slice(1)).get('request');

async function find(id) {
  const body = at('story-body');
  at('story').hidden = false;
  at('request').value = id;
  try {
    const answer = await read('/api/requests/' + encodeURIComponent(id));
    const where = [answer.server, answer.peer && '(' + answer.peer + ')'].filter(Boolean).join(' ');
    body.replaceChildren(el('article', {},
      el('div', { class: 'row' }, el('h3', {}, answer.title), el('small', {}, answer.status + (answer.fault ? ' · ' + answer.fault : ''))),
      el('p', {}, answer.detail),
      facts(['request', id], answer.upstream && ['upstream', answer.upstream], where && ['server', where], answer.elapsed_ms !== undefined && answer.elapsed_ms !== null && ['after', span(answer.elapsed_ms)], answer.incident && ['incident', answer.incident]),
      ...story({ ...answer, request_id: null }),
      attempts(answer.attempts || [])));
  } catch (error) {
    body.replaceChildren(el('p', { class: 'note' }, 'Nothing is known of the request ' + id + '. ' + error.message));
  }
  at('story-title').focus();
  at('story').scrollIntoView({ block: 'start' });
}

function attempts(all) {
  if (all.length < 2) return null;
  const rows = all.map((one, index) => el('tr', {}, el('th', { scope: 'row' }, String(index + 1)), el('td', {}, one.server || '–', one.peer ? el('small', {}, one.peer) : null), el('td', {}, one.fault ? fault(one.fault) : '–'), el('td', {}, span(one.elapsed_ms))));
  return el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Attempts' }, el('table', {}, el('caption', {}, 'Attempts'), el('thead', {}, el('tr', {}, ...['Attempt', 'Server', 'What was observed', 'After'].map(name => el('th', { scope: 'col' }, name)))), el('tbody', {}, ...rows)));
}

at('search').addEventListener('submit', event => {
  event.preventDefault();
  const id = at('request').value.trim();
  if (id === '') return;
  if (current() === id) find(id); else location.hash = 'request=' + encodeURIComponent(id);
});
addEventListener('hashchange', () => { const id = current(); if (id) find(id); });

look().then(() => { const id = current(); if (id) find(id); });
listen();
setInterval(() => { if (!document.hidden) look(); }, 5000);
document.addEventListener('visibilitychange', () => { if (!document.hidden) look(); });
