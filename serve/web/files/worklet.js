// Passes what the microphone gives to the page in pieces of about 20 ms, each with the frame after its last one.
class Pieces extends AudioWorkletProcessor {
  constructor() {
    super();
    this.size = 128 * Math.max(1, Math.round(0.02 * sampleRate / 128));
    this.piece = new Float32Array(this.size);
    this.filled = 0;
  }

  process([[channel]]) {
    const n = channel ? channel.length : 128; // no channel: the source is not connected yet
    if (channel) this.piece.set(channel, this.filled);
    else this.piece.fill(0, this.filled, this.filled + n);
    this.filled += n;
    if (this.filled + n > this.size) {
      const samples = this.piece.slice(0, this.filled);
      this.port.postMessage({ samples, frame: currentFrame + n }, [samples.buffer]);
      this.filled = 0;
    }
    return true;
  }
}
registerProcessor('pieces', Pieces);
