// Saving a clip of a sound that was answered wrongly or missed, on the server and only after asking.
import { $, element, notice } from './page.js';
import { colours, drawLevels, fit } from './draw.js';
import { request } from './server.js';
import { wav } from './sound.js';

// ClipDialog asks which part of the microphone's last seconds to save, and what it really is.
export class ClipDialog {
  constructor(microphone) {
    this.microphone = microphone;
    this.dialog = $('clip-dialog');
    $('clip-start').oninput = () => this.#draw();
    $('clip-label').onchange = () => this.#where();
    $('clip-play').onclick = () => microphone.play(this.#samples());
    this.dialog.onclose = () => this.dialog.returnValue === 'save' && this.#save();
  }

  // wrong asks about an event of a model.
  wrong(event, model) {
    const length = Math.max(model.window, event.end - event.start), middle = (event.start + event.end) / 2;
    const start = middle - length / 2;
    this.#open({
      kind: 'wrong', model, was: event.label, length, start, from: start - length, to: start + 2 * length,
      title: `“${event.label}” was wrong`, text: 'Save the sound, under what it really is, so that a model can be trained on it?',
    });
  }

  // missed asks about the last seconds; the loudest part is proposed.
  missed(model) {
    const { ring } = this.microphone, to = ring.end, from = Math.max(ring.start, to - 8), length = model.window;
    let start = from, loudest = -1;
    for (let t = from; t + length <= to; t += 0.05) {
      let sum = 0;
      for (let i = Math.floor(t * 100); i < (t + length) * 100; i++) sum += ring.level(i);
      if (sum > loudest * 1.0001) [loudest, start] = [sum, t];
    }
    this.#open({
      kind: 'missed', model, length, start, from, to,
      title: 'A missed word', text: 'Which part of the last seconds is it? Save it, so that a model can be trained on it?',
    });
  }

  #open(clip) {
    const { ring } = this.microphone;
    clip.from = Math.max(ring.start, clip.from);
    clip.to = Math.min(ring.end, clip.to);
    if (clip.to - clip.from < 0.1) return notice('That sound is no longer kept.', 8);
    this.clip = clip;
    $('clip-title').textContent = clip.title;
    $('clip-text').textContent = clip.text;
    const start = $('clip-start');
    start.min = clip.from;
    start.max = Math.max(clip.from, clip.to - clip.length);
    start.value = clip.start;
    const known = [...clip.model.words, ...['_unknown_', '_silence_'].filter(l => !clip.model.words.includes(l))];
    const said = { _unknown_: 'another sound (_unknown_)', _silence_: 'silence (_silence_)' };
    const options = known.filter(l => l !== clip.was).map(l => element('option', { value: l }, said[l] ?? l));
    $('clip-label').replaceChildren(element('option', { value: '' }, 'Choose a label'), ...options);
    this.#where();
    this.dialog.returnValue = '';
    this.dialog.showModal();
    this.#draw();
  }

  #where() {
    $('clip-where').textContent =
      `It is written on the machine of the server, in its --save folder below ${$('clip-label').value || 'the label'}, and sent nowhere else.`;
  }

  #samples() {
    const start = $('clip-start').valueAsNumber;
    return this.microphone.ring.slice(start, start + this.clip.length);
  }

  #draw() {
    const { context: c, width, height } = fit($('clip-wave')), { from, to, length } = this.clip;
    const start = $('clip-start').valueAsNumber;
    c.fillStyle = colours.well;
    c.fillRect(0, 0, width, height);
    drawLevels(c, this.microphone.ring, from, to, width, 2, height - 2, t => t >= start && t < start + length);
    $('clip-start').setAttribute('aria-valuetext', `${(start - this.microphone.ring.end).toFixed(1)} seconds from now`);
  }

  async #save() {
    const { kind, was } = this.clip, label = $('clip-label').value, at = $('clip-start').valueAsNumber;
    const query = new URLSearchParams({ label, kind, at: at.toFixed(3), ...was && { was } });
    try {
      const answer = await request(`v1/clips?${query}`, {
        method: 'POST', body: wav(this.#samples(), this.microphone.ring.rate), headers: { 'Content-Type': 'audio/wav' },
      });
      const { file } = await answer.json().catch(() => ({}));
      notice(`Saved as ${file ?? label}.`, 8);
    } catch (error) {
      notice(`Not saved: ${error.message}`);
    }
  }
}
