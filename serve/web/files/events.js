// The events of live sound: the list, how late they come, and their export.
import { $, clock, download, element, percent } from './page.js';
import { audacity, csv } from './export.js';
import { wav } from './sound.js';

const listed = 200; // events in the list; the export has more
const most = 20000;

// Events keeps the events of the microphone. onplay(event) and onwrong(event) are what its buttons do.
export class Events {
  all = [];
  #latencies = [];

  constructor(microphone, onplay, onwrong) {
    Object.assign(this, { microphone, onplay, onwrong });
    $('export-audacity').onclick = () => download('polyphon.labels.txt', audacity(this.all));
    $('export-csv').onclick = () => download('polyphon.csv', csv(this.all));
    $('export-sound').onclick = () => {
      const { ring } = microphone;
      download(`polyphon-from-${ring.start.toFixed(3)}s.wav`, wav(ring.slice(ring.start, ring.end), ring.rate));
    };
  }

  // add lists an event, and measures when it is on the screen how long ago the word had ended.
  add(event) {
    event.clock ??= new Date().toISOString();
    this.all.push(event);
    if (this.all.length > most) this.all.shift();
    const late = element('span');
    const what = `${event.label} at ${clock(event.start, 1)}`;
    const item = element('li', {},
      element('button', { type: 'button', class: 'play', 'aria-label': `Play ${what}`, onclick: () => this.onplay(event) }, '▶'),
      element('div', { class: 'what' }, element('span', { class: 'name', title: event.label }, event.label),
        element('span', { class: 'quiet' }, element('span', {}, clock(event.start, 1)), ' ', late)),
      element('span', { class: 'value' }, percent(event.p)),
      element('button', {
        type: 'button', class: 'wrong', 'aria-label': `That was wrong: ${what}`, onclick: () => this.onwrong(event),
      }, 'That was wrong'));
    $('no-events').hidden = true;
    $('events').prepend(item);
    if ($('events').children.length > listed) $('events').lastChild.remove();
    for (const id of ['export-audacity', 'export-csv']) $(id).disabled = false;
    $('announce').textContent = `${event.label}, ${percent(event.p)}`;
    requestAnimationFrame(() => setTimeout(() => this.#measure(event, late))); // after it is painted
  }

  #measure(event, late) {
    const { ring, now, running } = this.microphone;
    if (!running || document.hidden) return;
    const end = ring.wordEnd(event.start - 0.2, Math.max(event.start + 0.2, event.end));
    if (end === undefined) {
      late.textContent = 'before its end';
      return;
    }
    event.latency = now - end;
    late.textContent = `${event.latency.toFixed(2)} s later`;
    this.#latencies.push(event.latency);
    if (this.#latencies.length > 50) this.#latencies.shift();
    const sorted = [...this.#latencies].sort((a, b) => a - b);
    $('latency').textContent = `${sorted[sorted.length >> 1].toFixed(2)} s`;
  }
}
