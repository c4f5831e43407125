// The microphone, and playing what it recorded.
import { Ring } from './sound.js';

const kept = 300; // seconds of sound that can be played back

// Microphone delivers sound in pieces and keeps the last minutes. Times are in seconds of sound since it was first
// started.
export class Microphone {
  onpiece = () => {}; // (samples, time of the first one)
  onstop = () => {}; // (message): it ended by itself

  #stopPlaying = () => {};
  #mutes = 0;
  #unmuted = 0;

  get running() { return Boolean(this.stream); }

  // now estimates how much sound has been captured at this moment, also of what has not arrived here yet.
  get now() {
    if (!this.running) return this.ring ? this.ring.end : 0;
    return Math.max(this.ring.end, performance.now() / 1000 - this.offset);
  }

  // open makes the one audio context, which needs a click before it.
  async #open() {
    if (!this.context) {
      const context = new AudioContext({ latencyHint: 'interactive' });
      await context.audioWorklet.addModule('worklet.js');
      this.context = context;
      this.ring = new Ring(context.sampleRate, kept);
    }
    const started = this.context.resume().then(() => true);
    if (!await Promise.race([started, new Promise(resolve => setTimeout(resolve, 5000))])) {
      throw new Error('The browser cannot play or record: it finds no audio device.');
    }
  }

  async start(device) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error('Browsers give the microphone only to pages from localhost or over HTTPS: start the server with --tls-cert and --tls-key, or reach it through ssh -L.');
    }
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: {
        deviceId: device ? { exact: device } : undefined, channelCount: 1,
        echoCancellation: false, noiseSuppression: false, autoGainControl: false,
      },
    });
    try {
      await this.#open();
    } catch (error) {
      for (const track of stream.getTracks()) track.stop();
      throw error;
    }
    this.stream = stream;
    this.offset = Infinity;
    this.source = this.context.createMediaStreamSource(stream);
    this.node = new AudioWorkletNode(this.context, 'pieces', {
      numberOfOutputs: 0, channelCount: 1, channelCountMode: 'explicit', channelInterpretation: 'speakers',
    });
    this.node.port.onmessage = ({ data }) => this.#take(data);
    this.source.connect(this.node);
    stream.getAudioTracks()[0].onended = () => {
      this.stop();
      this.onstop('The microphone is gone.');
    };
  }

  stop() {
    if (!this.stream) return;
    this.node.port.onmessage = null;
    this.source.disconnect();
    for (const track of this.stream.getTracks()) track.stop();
    this.stream = undefined;
  }

  #take({ samples }) {
    const time = this.ring.end;
    if (this.#mutes > 0 || time < this.#unmuted) samples.fill(0);
    this.ring.push(samples);
    // Messages come late, never early: the least difference of the clocks is the true one. They may drift apart.
    const offset = performance.now() / 1000 - this.ring.end;
    this.offset = offset > this.offset + 1 ? offset : Math.min(offset, this.offset + 0.0005);
    this.onpiece(samples, time);
  }

  // mute replaces what the microphone gives by silence until the function that it returns is called, and 0.2 s longer.
  mute() {
    this.#mutes++;
    let muted = true;
    return () => {
      if (!muted) return;
      muted = false;
      this.#mutes--;
      this.#unmuted = this.now + 0.2;
    };
  }

  // play plays mono 16-bit samples of the microphone's rate, at least one, in place of what is played.
  async play(samples) {
    this.#stopPlaying();
    await this.#open();
    const source = this.context.createBufferSource();
    source.buffer = this.context.createBuffer(1, samples.length, this.context.sampleRate);
    source.buffer.copyToChannel(Float32Array.from(samples, v => v / 32768), 0);
    source.connect(this.context.destination);
    const unmute = this.mute();
    this.#stopPlaying = () => source.stop();
    source.onended = unmute;
    source.start();
  }
}
