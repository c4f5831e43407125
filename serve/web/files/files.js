// Files that are dropped or chosen: what the server finds in them.
import { $, clock, download, element, notice, percent } from './page.js';
import { audacity, filesCSV } from './export.js';
import { request } from './server.js';

const atOnce = 2; // files that are on their way
const maxTries = 6; // tries of a file where the server is busy, within half a minute

// Files lists results. model() is the name of the model to use; mute() silences the microphone while a file plays.
export class Files {
  results = [];

  #waiting = [];
  #running = 0;

  constructor(model, mute) {
    Object.assign(this, { model, mute });
    const drop = $('drop');
    $('file').onchange = ({ target }) => {
      this.add(target.files);
      target.value = '';
    };
    addEventListener('dragover', e => {
      e.preventDefault();
      drop.classList.add('over');
    });
    addEventListener('dragleave', e => e.relatedTarget || drop.classList.remove('over'));
    addEventListener('drop', e => {
      e.preventDefault();
      drop.classList.remove('over');
      const entries = [...e.dataTransfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
      if (entries.some(entry => entry.isDirectory)) for (const entry of entries) this.#walk(entry);
      else this.add(e.dataTransfer.files);
    });
    $('files-clear').onclick = () => this.#clear();
    $('files-csv').onclick = () => download('polyphon-files.csv', filesCSV(this.results));
    $('files-audacity').onclick = () => {
      for (const r of this.results.filter(r => r.result)) {
        const whole = { start: 0, end: r.result.seconds, label: r.result.labels[0].label };
        download(`${r.name}.labels.txt`, audacity([...r.events, whole]));
      }
    };
  }

  // walk adds the files of a folder that was dropped, and of those below it.
  #walk(entry) {
    if (entry.isFile) return entry.file(file => this.add([file]), error => notice(`${entry.name}: ${error.message}`));
    const reader = entry.createReader();
    const next = () => reader.readEntries(entries => { // some at a time, in the end none
      for (const e of entries) if (!e.name.startsWith('.')) this.#walk(e);
      if (entries.length) next();
    }, error => notice(`${entry.name}: ${error.message}`));
    next();
  }

  add(files) {
    for (const file of files) {
      const item = element('li', { class: 'busy' }, element('span', { class: 'name' }, file.name), element('span', { class: 'quiet' }, 'waiting'));
      $('files').append(item);
      this.#waiting.push({ file, item, name: file.name, events: [] });
    }
    this.#next();
  }

  #next() {
    while (this.#running < atOnce && this.#waiting.length) {
      this.#running++;
      this.#classify(this.#waiting.shift()).finally(() => {
        this.#running--;
        this.#next();
      });
    }
  }

  async #classify(entry) {
    const { file, item } = entry;
    item.lastChild.textContent = 'classifying';
    try {
      const answer = await this.#send(file);
      for (const line of (await answer.text()).split('\n').filter(Boolean)) this.#read(entry, JSON.parse(line));
      if (!entry.result && !entry.error) entry.error = 'the server gave no result';
    } catch (error) {
      entry.error = error.message;
      if (error.status === 401) notice(`The server wants a token: press Access. (${error.message})`);
    }
    if (!item.isConnected) return;
    this.results.push(entry);
    $('files-clear').hidden = $('files-export').hidden = false;
    item.classList.remove('busy');
    item.replaceChildren(...entry.error ? this.#failed(entry) : this.#result(entry));
    $('announce').textContent = entry.error ? `${entry.name}: ${entry.error}` : `${entry.name}: ${entry.result.labels[0].label}`;
  }

  // send sends a file, again where the server is busy.
  async #send(file) {
    const query = new URLSearchParams({ model: this.model(), format: 'ndjson', top: 0 });
    for (let tries = 1; ; tries++) {
      try {
        return await request(`v1/classify?${query}`, {
          method: 'POST', body: file, headers: { 'Content-Type': 'application/octet-stream' },
        });
      } catch (error) {
        if (![429, 503].includes(error.status) || tries === maxTries) throw error;
      }
      await new Promise(resolve => setTimeout(resolve, 1000 * 2 ** (tries - 1)));
    }
  }

  #read(entry, line) {
    switch (line.event) {
      case 'detection':
        entry.events.push(line);
        break;
      case 'result':
        entry.result = line;
        break;
      case 'error':
        entry.error = line.error;
    }
  }

  #failed({ name, error }) {
    return [element('span', { class: 'name' }, name), element('span', { class: 'failure' }, error)];
  }

  #result(entry) {
    const { name, result, events, file } = entry, [best, ...others] = result.labels;
    entry.url = URL.createObjectURL(file);
    const audio = element('audio', { controls: true, preload: 'none', src: entry.url, 'aria-label': `Play ${name}` });
    let unmute = () => {};
    audio.onplay = () => {
      unmute();
      unmute = this.mute();
    };
    audio.onpause = audio.onended = () => unmute();
    audio.onerror = () => audio.replaceWith(element('span', { class: 'quiet' }, 'This browser does not play the file.'));
    const parts = [
      element('span', { class: 'name' }, name),
      element('span', { class: 'answer' }, element('strong', {}, best.label), ` ${percent(best.p)}`),
      element('span', { class: 'quiet' }, `${result.seconds.toFixed(2)} s · then ${others.slice(0, 2).map(s => `${s.label} ${percent(s.p)}`).join(', ')}`),
      audio,
    ];
    if (events.length) parts.push(element('ul', { class: 'chips', 'aria-label': `Events in ${name}` }, ...events.map(e => element('li', {},
      element('button', { type: 'button', title: percent(e.p), onclick: () => this.#seek(audio, e) }, `${e.label} ${clock(e.start, 1)}`)))));
    for (const text of result.warning ?? []) parts.push(element('span', { class: 'failure' }, text));
    return parts;
  }

  #seek(audio, { start, end }) {
    audio.currentTime = Math.max(0, start - 0.25);
    audio.ontimeupdate = () => audio.currentTime > end + 0.25 && audio.pause();
    audio.play().catch(() => { /* onerror says it */ });
  }

  #clear() {
    for (const { url } of this.results) if (url) URL.revokeObjectURL(url);
    for (const audio of $('files').querySelectorAll('audio')) audio.pause();
    this.results = [];
    this.#waiting = [];
    $('files').replaceChildren();
    $('files-clear').hidden = $('files-export').hidden = true;
  }
}
