// The page: what connects the microphone, the server and what is shown.
import { $, clock, element, notice } from './page.js';
import { ClipDialog } from './clip.js';
import { Events } from './events.js';
import { Files } from './files.js';
import { Labels } from './labels.js';
import { Microphone } from './microphone.js';
import { Spectrogram, onscheme } from './draw.js';
import { Stream, request, token } from './server.js';
import { Timeline } from './timeline.js';

const still = matchMedia('(prefers-reduced-motion: reduce)');

let models = [], model;
const microphone = new Microphone();
const spectrogram = new Spectrogram($('spectrogram'));
const labels = new Labels(values => stream.thresholds(values));
const clips = new ClipDialog(microphone);
const play = (from, to) => {
  const samples = microphone.ring?.slice(from, to) ?? [];
  if (samples.length) microphone.play(samples);
  else notice('That sound is no longer kept.', 8);
};
const playEvent = ({ start, end }) => play(start - 0.25, Math.max(end, start + 0.5) + 0.25);
const events = new Events(microphone, playEvent, event => clips.wrong(event, model));
const timeline = new Timeline($('timeline'), microphone, () => events.all.slice(-500), play);
new Files(() => model?.name ?? '', () => microphone.mute());

const stream = new Stream({
  onstate: showState,
  onready({ labels: names, thresholds, mels, frame_hop: hop }) {
    if (names && String(names) !== String(model.labels)) return load(); // the server has other models now
    if (thresholds) labels.own(labels.chosen() ? {} : thresholds);
    if (mels !== spectrogram.mels || hop !== spectrogram.hop) spectrogram.clear(mels, hop);
  },
  onevent: event => events.add(event),
  ondecision: decision => labels.add(decision),
  onframes: frames => spectrogram.add(frames),
  onwarning: text => notice(text, 20),
  onlag: seconds => showLag(seconds),
  onrefused: (status, text) => status === 401 ? askToken(text) : notice(text),
});

// hello is the first message of a connection.
const hello = () => ({
  model: model.name, rate: microphone.context.sampleRate, encoding: 'f32le', channels: 1,
  ...labels.chosen() && { thresholds: labels.chosen() }, decisions: true, frames: true,
});

function showState(state, text) {
  $('state').dataset.state = state;
  $('state').textContent = text;
}

let late;
function showLag(seconds) {
  clearTimeout(late);
  showState('open', `Listening, ${seconds.toFixed(1)} s late`);
  late = setTimeout(() => stream.state === 'open' && showState('open', 'Listening'), 3000);
}

// load asks for the models; the page is of no use without them, so it tries until it has them.
async function load() {
  showState('connecting', 'Connecting');
  try {
    const answer = await (await request('v1/models')).json();
    models = answer.models;
    $('model').replaceChildren(...models.map(m => element('option', { value: m.name }, m.name)));
    choose(model?.name ?? answer.default);
    $('model').disabled = $('microphone').disabled = false;
    $('interface').hidden = Boolean(token.value); // a link sends no token
    if (!microphone.running) showState('idle', 'Microphone off');
  } catch (error) {
    if (error.status === 401 || error.status === 403) {
      showState('refused', 'No access');
      return askToken(error.message);
    }
    showState('waiting', `${error.message}, next try in 3 s`);
    setTimeout(load, 3000);
  }
}

function choose(name) {
  model = models.find(m => m.name === name) ?? models[0];
  $('model').value = model.name;
  labels.show(model);
  spectrogram.clear(model.mels, model.hop);
  if (microphone.running) stream.start(hello);
}

function askToken(text) {
  if (text) $('access-text').textContent = text;
  $('token').value = token.value ?? '';
  if (!$('access-dialog').open) $('access-dialog').showModal();
}

async function toggle() {
  const button = $('microphone');
  if (microphone.running) {
    microphone.stop();
    stream.stop();
  } else {
    button.disabled = true;
    try {
      await microphone.start($('device').value);
      stream.start(hello);
      listDevices();
    } catch (error) {
      notice(error.name === 'NotAllowedError' ? 'The browser does not allow this page to use the microphone.'
        : error.name === 'NotFoundError' ? 'There is no microphone.' : error.message);
    }
    button.disabled = false;
  }
  showRunning();
}

function showRunning() {
  const { running } = microphone;
  $('microphone').textContent = running ? 'Stop microphone' : 'Start microphone';
  $('microphone').classList.toggle('on', running);
  $('missed').disabled = $('export-sound').disabled = !microphone.ring;
}

async function listDevices() {
  const inputs = (await navigator.mediaDevices.enumerateDevices()).filter(d => d.kind === 'audioinput' && d.label);
  const used = microphone.stream?.getAudioTracks()[0].getSettings().deviceId;
  $('device').replaceChildren(...inputs.map(d => element('option', { value: d.deviceId }, d.label)));
  $('device').value = used;
  $('device').hidden = inputs.length < 2;
}

microphone.onpiece = (samples, time) => stream.send(samples, time, microphone.context.sampleRate);
microphone.onstop = text => {
  stream.stop();
  notice(text);
  showRunning();
};
$('microphone').onclick = toggle;
$('model').onchange = ({ target }) => choose(target.value);
$('device').onchange = async () => {
  if (!microphone.running) return;
  await toggle();
  await toggle();
};
$('missed').onclick = () => clips.missed(model);
$('access').onclick = () => askToken();
$('access-dialog').onclose = ({ target }) => {
  if (target.returnValue !== 'save') return;
  target.returnValue = '';
  token.set($('token').value.trim());
  if (microphone.running) stream.start(hello);
  else load();
};

for (const button of document.querySelectorAll('dialog .cancel')) button.onclick = () => button.closest('dialog').close('cancel');

// The sound moves 30 times a second, once a second where people prefer less motion; the time line more slowly.
let drawn = -1, written = -1, lined = -1;
function frame(ms) {
  requestAnimationFrame(frame);
  const every = still.matches ? 1000 : 33;
  if (ms - drawn < every - 4) return;
  drawn = ms;
  const { now, ring, running } = microphone;
  if (!running && lined >= 0 && ms - lined < 1000) return;
  const seconds = $('spectrogram').clientWidth < 520 ? 6 : 12;
  spectrogram.draw(now, seconds, events.all.slice(-50));
  labels.draw(now);
  if (ms - written > 120) {
    written = ms;
    labels.write();
  }
  const level = ring && running ? 20 * Math.log10(ring.level(ring.blocks - 1) + 1e-9) : -90;
  $('level').style.transform = `scaleX(${Math.max(0, Math.min(1, 1 + level / 60))})`;
  if (lined >= 0 && ms - lined < (still.matches ? 1000 : 250)) return;
  lined = ms;
  timeline.draw();
  $('elapsed').textContent = clock(now);
}
onscheme(() => { lined = -1; });
requestAnimationFrame(frame);
load();
