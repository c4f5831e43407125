// The time line: the levels of the last minutes with the events, of which any part can be played.
import { clock } from './page.js';
import { colours, drawLevels, fit } from './draw.js';

const lengths = [60, 120, 300]; // seconds that are shown, the least that have room for what is kept
const played = 3; // seconds that are played from where there is no event

// Timeline is a canvas that is a slider, too. onplay(from, to) plays a part.
export class Timeline {
  constructor(canvas, microphone, events, onplay) {
    Object.assign(this, { canvas, microphone, events, onplay, at: undefined });
    canvas.onclick = e => this.#click(e.offsetX);
    canvas.onkeydown = e => this.#key(e);
  }

  get ring() { return this.microphone.ring; }

  #span() {
    const end = this.ring?.end ?? 0;
    const length = lengths.find(l => l >= end) ?? lengths.at(-1), to = Math.max(length, end);
    return [to - length, to];
  }

  #click(x) {
    if (!this.ring) return;
    const [from, to] = this.#span(), time = from + x / this.canvas.clientWidth * (to - from);
    const reach = 6 / this.canvas.clientWidth * (to - from);
    const event = this.events().find(e => time >= e.start - reach && time <= e.end + reach);
    this.#move(event ? event.start : time);
    this.#play(event);
  }

  #play(event) {
    const from = this.at ?? this.ring.start;
    this.onplay(event ? event.start - 0.25 : from, event ? event.end + 0.25 : from + played);
  }

  #key(e) {
    if (!this.ring) return;
    const at = this.at ?? this.ring.end, starts = this.events().map(event => event.start).sort((a, b) => a - b);
    const moves = {
      ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, Home: this.ring.start, End: this.ring.end,
      PageUp: starts.findLast(s => s < at - 0.01) ?? at, PageDown: starts.find(s => s > at + 0.01) ?? at,
    };
    if (e.key in moves) this.#move(moves[e.key]);
    else if (e.key === 'Enter' || e.key === ' ') this.#play(this.events().find(event => Math.abs(event.start - at) < 0.01));
    else return;
    e.preventDefault();
  }

  #move(time) {
    this.at = Math.max(this.ring.start, Math.min(time, this.ring.end));
    const event = this.events().find(e => Math.abs(e.start - this.at) < 0.01);
    const set = (name, value) => this.canvas.setAttribute(`aria-${name}`, value);
    set('valuemin', this.ring.start.toFixed(1));
    set('valuemax', this.ring.end.toFixed(1));
    set('valuenow', this.at.toFixed(1));
    set('valuetext', clock(this.at, 1) + (event ? `, ${event.label}` : ''));
    this.draw();
  }

  draw() {
    const { context: c, width, height } = fit(this.canvas), [from, to] = this.#span(), floor = height - 20;
    const x = time => (time - from) * width / (to - from);
    c.fillStyle = colours.well;
    c.fillRect(0, 0, width, floor);
    if (this.ring) drawLevels(c, this.ring, from, to, width, 2, floor - 2);
    c.font = '12px system-ui, "Segoe UI", Roboto, Arial, sans-serif';
    c.textBaseline = 'middle';
    let free = 0; // where the next label may begin
    for (const event of [...this.events()].sort((a, b) => a.start - b.start)) {
      if (event.end < from) continue;
      const left = x(event.start);
      c.fillStyle = colours.event;
      c.globalAlpha = 0.25;
      c.fillRect(left, 0, Math.max(2, x(event.end) - left), floor);
      c.globalAlpha = 1;
      c.fillRect(left, floor - 3, Math.max(2, x(event.end) - left), 3);
      const wide = c.measureText(event.label).width;
      if (left < free || left + wide > width) continue;
      c.fillText(event.label, left, height - 8);
      free = left + wide + 8;
    }
    if (this.at === undefined) return;
    c.fillStyle = colours.ink;
    c.fillRect(x(this.at) - 1, 0, 2, floor);
  }
}
