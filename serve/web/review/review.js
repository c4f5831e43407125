// The page of train review: one clip after the other, with what it was taken for, and keys that file it.
import { $, element, notice, percent } from './page.js';
import { Spectrogram, onscheme } from './draw.js';
import { wav } from './sound.js';

const token = location.hash.slice(1);

async function request(path, body) {
  const headers = { Authorization: `Bearer ${token}` };
  const answer = await fetch(path, body ? { method: 'POST', headers, body: JSON.stringify(body) } : { headers });
  if (!answer.ok) throw new Error((await answer.text()).trim() || answer.statusText);
  return answer.json();
}

const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const spectrogram = new Spectrogram($('spectrogram')), player = new Audio();
let clips = [], folders = [], at = 0, shown, queue = Promise.resolve();

// say shows an error of work that the page waits for, and goes on.
const say = work => {
  queue = queue.then(work).catch(error => notice(error.message));
};

function draw() {
  if (shown) spectrogram.draw(shown.seconds, shown.seconds, []);
}

function choice(folder, i) {
  const text = i < 9 ? [folder, element('kbd', {}, String(i + 1))] : [folder];
  const on = clips[at]?.filed === folder;
  return element('button', { type: 'button', class: on ? 'on' : undefined, onclick: () => file(folder) }, ...text);
}

function describe() {
  const clip = clips[at], done = clips.filter(c => c.filed).length;
  $('state').dataset.state = 'open';
  $('state').textContent = `${done} of ${clips.length} reviewed`;
  $('choices').replaceChildren(...folders.map((f, i) => element('li', {}, choice(f, i))));
  for (const id of ['play', 'yes', 'no', 'skip', 'back', 'undo', 'other-file']) $(id).disabled = !clip;
  if (!clip) return;
  const kind = clip.near ? 'near miss of ' : '', p = clip.p ? `, ${percent(clip.p)}` : '';
  $('clip-title').textContent = clip.folder ? `${kind}${clip.folder}${p}` : 'What is this?';
  $('clip-place').textContent = `${at + 1} of ${clips.length}`;
  $('clip-about').textContent = clip.filed ? `Filed as ${clip.filed}` : [clip.source, clip.clock, clip.name].filter(Boolean).join(' · ');
  $('yes').disabled = !clip.folder;
  $('undo').disabled = !clips.some(c => c.filed);
}

async function show(i, aloud = true) {
  at = Math.max(0, Math.min(clips.length - 1, i));
  describe();
  if (!clips.length) return;
  shown = undefined;
  const sound = await request(`v1/clips/${clips[at].id}`);
  URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(wav(new Int16Array(bytes(sound.samples).buffer), sound.rate));
  spectrogram.clear(sound.mels, sound.hop);
  spectrogram.add({ time: 0, rows: bytes(sound.rows), mels: sound.mels });
  shown = sound;
  draw();
  if (aloud) play();
}

// play plays the clip, unless the browser waits for somebody to do something first.
const play = () => player.play().catch(() => {});

// next shows the next clip that is not filed, if there is one.
const next = () => {
  const rest = [...clips.keys()].map(k => (at + 1 + k) % clips.length).find(k => !clips[k].filed);
  return rest === undefined ? describe() : show(rest);
};

const filed = [];

const file = folder => say(async () => {
  const clip = clips[at];
  if (!clip || !folder) return;
  Object.assign(clip, await request(`v1/clips/${clip.id}`, { folder }));
  if (!folders.includes(clip.filed)) folders.push(clip.filed);
  filed.push(clip);
  await next();
});

const undo = () => say(async () => {
  const clip = filed.pop() ?? clips.findLast(c => c.filed);
  if (!clip) return;
  Object.assign(clip, await request(`v1/clips/${clip.id}`, { folder: '' }));
  await show(clips.indexOf(clip));
});

const keys = {
  ' ': play, y: () => file(clips[at]?.folder), n: () => file('_unknown_'), u: undo,
  ArrowRight: () => say(() => show(at + 1)), ArrowLeft: () => say(() => show(at - 1)),
};
for (const [id, key] of Object.entries({ play: ' ', yes: 'y', no: 'n', undo: 'u', skip: 'ArrowRight', back: 'ArrowLeft' })) {
  $(id).onclick = () => keys[key]();
}
addEventListener('keydown', e => {
  if (e.ctrlKey || e.altKey || e.metaKey || e.target.tagName === 'INPUT') return;
  if (e.target.tagName === 'BUTTON' && (e.key === ' ' || e.key === 'Enter')) return;
  const key = e.key.length === 1 ? e.key.toLowerCase() : e.key, number = Number(key);
  const act = keys[key] ?? (number >= 1 && folders[number - 1] && (() => file(folders[number - 1])));
  if (!act) return;
  e.preventDefault();
  act();
});
$('other-form').onsubmit = e => {
  e.preventDefault();
  const label = $('other').value.trim();
  $('other').value = '';
  $('other').blur();
  if (label) file(label);
};
addEventListener('resize', draw);
onscheme(draw);

say(async () => {
  const all = await request('v1/clips');
  ({ clips, folders } = all);
  $('into').textContent = all.into;
  const first = clips.findIndex(c => !c.filed);
  await show(first < 0 ? 0 : first, false);
});
