// What is drawn: the spectrogram, the probability curves, the time line. Times are in seconds of the microphone.

const dark = matchMedia('(prefers-color-scheme: dark)');

// colours holds the style sheet's colours and the spectrogram's palette, those of the scheme that is shown.
export const colours = {};

const stops = {
  light: ['f7f9fa', 'd9e6ec', '9cc3d1', '4a93ad', '155e7c', '0a2f45'],
  dark: ['101418', '14303f', '17566b', '2b8d96', '86c9a6', 'f6f2c4'],
};

const contrast = 1.7; // that of the palette: noise is about in the middle of the values, and should not be in the way

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ['ground', 'ink', 'quiet', 'edge', 'accent', 'event', 'well']) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
  const rgb = stops[dark.matches ? 'dark' : 'light'].map(s => [0, 2, 4].map(i => parseInt(s.slice(i, i + 2), 16)));
  colours.palette = Uint8Array.from({ length: 256 * 3 }, (_, i) => {
    const at = (Math.floor(i / 3) / 255) ** contrast * (rgb.length - 1), k = Math.min(rgb.length - 2, Math.floor(at));
    return Math.round(rgb[k][i % 3] + (at - k) * (rgb[k + 1][i % 3] - rgb[k][i % 3]));
  });
}
readColours();

// onscheme calls f when the page turns dark or light.
export const onscheme = f => dark.addEventListener('change', () => {
  readColours();
  f();
});

// fit gives a canvas as many pixels as the screen has there, and returns its context, cleared, with the size in CSS
// pixels.
export function fit(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas, ratio = devicePixelRatio || 1;
  const w = Math.round(width * ratio), h = Math.round(height * ratio);
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

const font = '12px system-ui, "Segoe UI", Roboto, Arial, sans-serif';
const columns = 2048; // of the spectrogram that are kept: 20 s

// Spectrogram draws log-mel rows, one column each, and the events below them.
export class Spectrogram {
  constructor(canvas) {
    this.canvas = canvas;
    this.clear(40, 0.01);
    onscheme(() => this.#repaint());
  }

  clear(mels, hop) {
    Object.assign(this, { mels, hop, first: 0, last: 0 }); // the columns that there are: first to last - 1
    this.values = new Uint8Array(columns * mels);
    this.there = new Uint8Array(columns); // 0 in gaps
    this.picture = Object.assign(document.createElement('canvas'), { width: columns, height: mels });
    this.pixels = this.picture.getContext('2d');
  }

  add({ time, rows, mels }) {
    let i = Math.round(time / this.hop);
    if (i < this.last) i = this.last; // rounding
    if (!this.last || i > this.last + columns) this.first = this.last = i;
    for (; this.last < i; this.last++) { // the sound has a gap
      this.there[this.last % columns] = 0;
      this.pixels.clearRect(this.last % columns, 0, 1, this.mels);
    }
    for (let at = 0; at + mels <= rows.length; at += mels, this.last++) {
      this.values.set(rows.subarray(at, at + mels), this.last % columns * mels);
      this.there[this.last % columns] = 1;
      this.#column(this.last % columns);
    }
    this.first = Math.max(this.first, this.last - columns);
  }

  #column(x) {
    const image = this.pixels.createImageData(1, this.mels);
    for (let mel = 0; mel < this.mels; mel++) {
      const at = 4 * (this.mels - 1 - mel), value = 3 * this.values[x * this.mels + mel];
      for (let c = 0; c < 3; c++) image.data[at + c] = colours.palette[value + c];
      image.data[at + 3] = 255;
    }
    this.pixels.putImageData(image, x, 0);
  }

  #repaint() {
    for (let i = this.first; i < this.last; i++) if (this.there[i % columns]) this.#column(i % columns);
  }

  // draw shows the seconds that end at now.
  draw(now, seconds, events) {
    const { context: c, width, height } = fit(this.canvas), floor = height - 44;
    const x = time => width - (now - time) * width / seconds;
    c.fillStyle = colours.well;
    c.fillRect(0, 0, width, floor);
    if (!this.last) {
      c.fillStyle = colours.quiet;
      c.font = font;
      c.textAlign = 'center';
      c.textBaseline = 'middle';
      c.fillText('What the network sees of the sound appears here.', width / 2, floor / 2);
    }
    const from = Math.max(this.first, Math.floor((now - seconds) / this.hop));
    for (let i = from; i < this.last;) { // two pieces where the columns go around
      const n = Math.min(this.last - i, columns - i % columns), left = x(i * this.hop);
      c.drawImage(this.picture, i % columns, 0, n, this.mels, left, 0, x((i + n) * this.hop) - left, floor);
      i += n;
    }
    c.font = font;
    c.textBaseline = 'middle';
    c.fillStyle = colours.quiet;
    c.textAlign = 'center';
    const step = seconds > 8 ? 2 : 1;
    for (let s = step; s < seconds; s += step) {
      c.fillRect(Math.round(x(now - s)), floor, 1, 4);
      c.fillText(`−${s} s`, x(now - s), height - 8);
    }
    for (const event of events) {
      const left = x(event.start), right = x(event.end);
      if (right < 0 || left > width) continue;
      c.fillStyle = colours.event;
      c.fillRect(left, floor + 4, Math.max(2, right - left), 3);
      c.textAlign = 'left';
      c.font = `600 ${font}`;
      c.fillText(event.label, Math.max(2, left), floor + 17);
    }
  }
}

const thumb = 7; // half the height of a slider's, which is beside the curve and level with its threshold

// Curves keeps the probabilities of the last decisions and draws those of one label.
export class Curves {
  constructor() {
    this.times = [];
    this.rows = [];
  }

  add({ time, p }, gap) {
    const last = this.times.at(-1);
    if (last !== undefined && (time < last || time - last > gap)) this.#push(last, null);
    this.#push(time, p);
  }

  #push(time, p) {
    this.times.push(time);
    this.rows.push(p);
    if (this.times.length > 600) {
      this.times.splice(0, 200);
      this.rows.splice(0, 200);
    }
  }

  // draw shows label i over the seconds that end at now, and where its threshold is (undefined: it has none).
  draw(canvas, i, now, seconds, threshold) {
    const { context: c, width, height } = fit(canvas);
    const x = time => width - (now - time) * width / seconds, y = p => thumb + (1 - p) * (height - 2 * thumb);
    const over = threshold !== undefined && this.rows.at(-1)?.[i] >= threshold;
    c.strokeStyle = c.fillStyle = over ? colours.event : colours.accent;
    c.lineWidth = 1.75;
    c.lineJoin = 'round';
    let from = 0;
    while (from < this.times.length && this.times[from] < now - seconds - 1) from++;
    for (let k = from; k < this.rows.length;) { // one stroke for each part without a gap
      const start = k;
      while (k < this.rows.length && this.rows[k]) k++;
      if (k > start) this.#part(c, i, start, k, x, y);
      while (k < this.rows.length && !this.rows[k]) k++;
    }
    if (threshold === undefined) return;
    c.strokeStyle = colours.quiet;
    c.lineWidth = 1;
    c.setLineDash([4, 3]);
    c.beginPath();
    c.moveTo(0, y(threshold));
    c.lineTo(width, y(threshold));
    c.stroke();
    c.setLineDash([]);
  }

  #part(c, i, start, end, x, y) {
    c.beginPath();
    for (let k = start; k < end; k++) c.lineTo(x(this.times[k]), y(this.rows[k][i]));
    c.stroke();
    c.lineTo(x(this.times[end - 1]), y(0));
    c.lineTo(x(this.times[start]), y(0));
    c.globalAlpha = 0.15;
    c.fill();
    c.globalAlpha = 1;
  }
}

// drawLevels draws the levels of a ring from one time to another, in decibels, those of a marked part in the accent
// colour.
export function drawLevels(c, ring, from, to, width, top, bottom, marked = () => false) {
  const middle = (top + bottom) / 2, per = (to - from) / width;
  for (let px = 0; px < width; px++) {
    let level = 0;
    const first = Math.floor((from + px * per) * 100), last = Math.max(first + 1, Math.floor((from + (px + 1) * per) * 100));
    for (let i = first; i < last; i++) level = Math.max(level, ring.level(i));
    const half = Math.max(0, 1 + 20 * Math.log10(level + 1e-9) / 60) * (bottom - top) / 2;
    c.fillStyle = marked(from + px * per) ? colours.accent : colours.quiet;
    c.globalAlpha = marked(from + px * per) ? 1 : 0.55;
    if (ring.level(first) || half) c.fillRect(px, middle - Math.max(0.5, half), 1, Math.max(1, 2 * half));
  }
  c.globalAlpha = 1;
}
