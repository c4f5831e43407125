// Sound that the page keeps: the last minutes of the microphone, and WAV files of parts of it.

const levelsPerSecond = 100;

// Ring holds the last seconds of a mono sound in 16 bits. Times are in seconds since the first sample ever added.
export class Ring {
  constructor(rate, seconds) {
    this.rate = rate;
    this.data = new Int16Array(Math.ceil(rate * seconds));
    this.samples = 0; // ever added
    this.block = rate / levelsPerSecond;
    this.levels = new Float32Array(Math.ceil(seconds * levelsPerSecond)); // mean squares of blocks of 10 ms
    this.sum = 0;
    this.blocks = 0;
  }

  get end() { return this.samples / this.rate; }

  get start() { return Math.max(0, this.samples - this.data.length) / this.rate; }

  // push adds samples in [-1, 1].
  push(samples) {
    for (const v of samples) {
      this.data[this.samples++ % this.data.length] = Math.round(32767 * Math.max(-1, Math.min(1, v)));
      this.sum += v * v;
      if (this.samples >= (this.blocks + 1) * this.block) {
        this.levels[this.blocks++ % this.levels.length] = this.sum / this.block;
        this.sum = 0;
      }
    }
  }

  // slice returns the samples from one time to another, as far as they are there.
  slice(from, to) {
    const first = Math.max(Math.round(from * this.rate), this.samples - this.data.length, 0);
    const last = Math.min(Math.round(to * this.rate), this.samples);
    const out = new Int16Array(Math.max(0, last - first));
    for (let i = 0; i < out.length; i++) out[i] = this.data[(first + i) % this.data.length];
    return out;
  }

  // level returns the root mean square of the 10 ms that begin at block i, 0 where there is none.
  level(i) {
    return i < 0 || i >= this.blocks || i < this.blocks - this.levels.length ? 0
      : Math.sqrt(this.levels[i % this.levels.length]);
  }

  // wordEnd estimates when the sound that is loudest between two times ends: when its level stays, for 150 ms, more
  // than 20 dB below the greatest one, or close to that of the second before. It is undefined if the sound has not
  // ended.
  wordEnd(from, to) {
    const first = Math.floor(from * levelsPerSecond), last = Math.min(this.blocks, Math.ceil(to * levelsPerSecond));
    let loudest = first;
    for (let i = first; i < last; i++) if (this.level(i) > this.level(loudest)) loudest = i;
    let noise = Infinity;
    for (let i = Math.max(0, first - levelsPerSecond); i < loudest; i++) noise = Math.min(noise, this.level(i));
    const limit = Math.max(this.level(loudest) / 10, Number.isFinite(noise) ? 2 * noise : 0);
    for (let i = loudest, quiet = 0; i < this.blocks; i++) {
      quiet = this.level(i) < limit ? quiet + 1 : 0;
      if (quiet === 15) return (i - 14) / levelsPerSecond;
    }
    return undefined;
  }
}

// wav returns a WAV file of mono 16-bit samples.
export function wav(samples, rate) {
  const head = new DataView(new ArrayBuffer(44));
  const text = (at, s) => [...s].forEach((c, i) => head.setUint8(at + i, c.charCodeAt(0)));
  text(0, 'RIFF');
  head.setUint32(4, 36 + 2 * samples.length, true);
  text(8, 'WAVEfmt ');
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true);
  head.setUint16(22, 1, true);
  head.setUint32(24, rate, true);
  head.setUint32(28, 2 * rate, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  text(36, 'data');
  head.setUint32(40, 2 * samples.length, true);
  return new Blob([head, samples], { type: 'audio/wav' }); // every machine with a browser is little-endian
}
