// The labels of the model: their probabilities as curves, and the thresholds of those that can be events.
import { $, Kept, element, percent } from './page.js';
import { Curves } from './draw.js';

const curveSeconds = 10;

// Labels shows a model's labels. onchange({label: threshold}) is called when a slider moves.
export class Labels {
  constructor(onchange) {
    this.onchange = onchange;
    this.rows = [];
    $('threshold-all').oninput = ({ target }) => {
      for (const row of this.rows) if (row.slider) this.#set(row, target.valueAsNumber);
      this.#changed();
    };
    $('threshold-reset').onclick = () => {
      for (const row of this.rows) if (row.slider) this.#set(row, row.own);
      this.kept.set(null);
      this.#showAll();
      this.onchange(this.thresholds());
    };
    this.visible = new IntersectionObserver(entries => {
      for (const e of entries) e.target.shown = e.isIntersecting;
    });
  }

  // show replaces the rows by those of a model of /v1/models. What a person chose before for this model is kept.
  show(model) {
    this.visible.disconnect();
    this.model = model;
    this.kept = new Kept('localStorage', `polyphon.thresholds.${model.name}`);
    const chosen = JSON.parse(this.kept.value) ?? {};
    this.curves = new Curves();
    this.latest = undefined;
    this.rows = model.labels.map((label, i) => this.#row(label, i, model.words.includes(label), chosen[label]));
    $('labels').replaceChildren(...this.rows.map(row => row.item));
    $('no-labels').hidden = true;
    $('threshold-all').disabled = $('threshold-reset').disabled = false;
    this.#showAll();
  }

  #row(label, i, word, chosen) {
    const canvas = element('canvas', { class: 'curve', 'aria-hidden': 'true' });
    const value = element('span', { class: 'value' }, '–');
    const name = element('span', { class: 'name', title: label }, label);
    const row = { label, i, canvas, value, name };
    row.item = element('li', {}, element('div', { class: 'what' }, name, value), canvas);
    if (word) {
      row.own = typeof this.model.threshold === 'number' ? this.model.threshold
        : this.model.threshold?.[label] ?? this.model.threshold?.['*'] ?? 0.5;
      row.output = element('output', { 'aria-hidden': 'true' });
      row.slider = element('input', {
        type: 'range', min: 0, max: 1, step: 0.01, 'aria-orientation': 'vertical', 'aria-label': `Threshold of ${label}`,
        oninput: () => {
          this.#set(row, row.slider.valueAsNumber);
          this.#changed();
        },
      });
      row.item.append(row.slider, row.output);
      this.#set(row, chosen ?? row.own);
    }
    this.visible.observe(canvas);
    return row;
  }

  #set(row, threshold) {
    threshold = Math.max(0.01, threshold); // of 0, all would be events
    row.threshold = threshold;
    row.slider.value = threshold;
    row.output.value = threshold.toFixed(2);
    row.slider.setAttribute('aria-valuetext', `${Math.round(100 * threshold)} percent`);
  }

  #showAll() {
    const values = this.rows.filter(row => row.slider).map(row => row.threshold);
    const same = values.every(v => v === values[0]);
    if (same && values.length) $('threshold-all').value = values[0];
    $('threshold-all-value').value = !values.length ? '–' : same ? values[0].toFixed(2) : 'mixed';
  }

  #changed() {
    this.#showAll();
    this.kept.set(JSON.stringify(this.thresholds()));
    this.onchange(this.thresholds());
  }

  // own takes the thresholds that the server uses where nobody chose others.
  own(thresholds) {
    for (const row of this.rows) {
      if (!row.slider) continue;
      row.own = thresholds[row.label] ?? thresholds['*'] ?? row.own;
      if (!this.kept.value) this.#set(row, row.own);
    }
    this.#showAll();
  }

  // thresholds returns those that the sliders show.
  thresholds() {
    return Object.fromEntries(this.rows.filter(row => row.slider).map(row => [row.label, row.threshold]));
  }

  // chosen returns thresholds that differ from the model's own, undefined if nobody chose any.
  chosen() { return this.kept.value ? this.thresholds() : undefined; }

  add(decision) {
    this.curves.add(decision, 4 * this.model.decision_hop);
    this.latest = decision.p;
  }

  draw(now) {
    for (const row of this.rows) {
      if (row.canvas.shown) this.curves.draw(row.canvas, row.i, now, curveSeconds, row.threshold);
    }
  }

  // write shows the latest probabilities as numbers.
  write() {
    for (const row of this.latest ? this.rows : []) {
      const p = this.latest[row.i];
      row.value.textContent = percent(p);
      row.item.classList.toggle('over', row.threshold !== undefined && p >= row.threshold);
    }
  }
}
