// The server: requests with the access token, and the live stream, which comes back when its connection breaks.
import { Kept } from './page.js';

export const token = new Kept('sessionStorage', 'polyphon.token');

// request sends to the server. What it refuses is an Error with its reason and a status; 0 is one that does not answer.
export async function request(path, options = {}) {
  const headers = { ...options.headers };
  if (token.value) headers.Authorization = `Bearer ${token.value}`;
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (cause) {
    if (cause.name === 'AbortError') throw cause;
    throw Object.assign(new Error('the server does not answer'), { status: 0 });
  }
  if (answer.ok) return answer;
  let text = answer.statusText || `status ${answer.status}`;
  try {
    text = (await answer.json()).error || text;
  } catch { /* not one of the server's own errors */ }
  throw Object.assign(new Error(text), { status: answer.status });
}

const
  firstWait = 0.5, longestWait = 10, // seconds until the next try
  silent = 8, // seconds without a message after which a connection counts as broken
  queued = 3; // seconds of sound that may wait for the network

// Stream sends sound and receives what is found in it. Handlers, all with times in seconds of the microphone:
// onstate(state, text), onready(hello), onevent, ondecision, onframes, onwarning(text), onlag(seconds),
// onrefused(status). States are idle, connecting, open, waiting (for the next try) and refused.
export class Stream {
  state = 'idle';

  #tries = 0;
  // The connection: its socket, base (the time of its first sample), ready, received and sent (seconds of the clock).
  #current;
  #timer;

  constructor(handlers) {
    Object.assign(this, handlers);
    addEventListener('online', () => this.state === 'waiting' && this.#connect());
  }

  // start connects; hello() returns the first message, anew for each connection.
  start(hello) {
    this.stop();
    this.hello = hello;
    this.#tries = 0;
    this.#connect();
  }

  stop() {
    clearTimeout(this.#timer);
    const { socket, ready } = this.#current ?? {};
    this.#current = undefined;
    if (ready && socket.readyState === WebSocket.OPEN) {
      socket.send('{"eof":true}'); // what has been found by then still arrives
      setTimeout(() => socket.close(), 5000);
    } else if (socket?.readyState === WebSocket.CONNECTING) {
      socket.onopen = () => socket.close(); // closed before, it would be reported as failed
    } else socket?.close();
    this.#state('idle', 'Microphone off');
  }

  // send sends a piece of the microphone's sound that begins at time, or drops it while there is no connection.
  send(samples, time, rate) {
    const connection = this.#current;
    if (!connection?.ready) return;
    connection.base ??= time;
    const now = performance.now() / 1000;
    if (now - connection.received > silent && now - connection.sent < 1) return this.#broken('The server is silent.');
    if (connection.socket.bufferedAmount > 4 * rate * queued) return this.#broken('The network is too slow for the sound.');
    connection.sent = now;
    connection.socket.send(samples);
  }

  // thresholds changes those of the running stream.
  thresholds(values) {
    if (this.#current?.ready) this.#current.socket.send(JSON.stringify({ thresholds: values }));
  }

  #state(state, text) {
    this.state = state;
    this.onstate(state, text);
  }

  #connect() {
    clearTimeout(this.#timer);
    this.#state('connecting', this.#tries ? 'Connecting again' : 'Connecting');
    const url = new URL('v1/listen', location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    let socket;
    try {
      socket = new WebSocket(url, ['polyphon.v1', ...token.value ? [`bearer.${token.value}`] : []]);
    } catch {
      return this.#refused('The token has characters that no token has.', 401);
    }
    const now = performance.now() / 1000, connection = { socket, base: undefined, ready: false, received: now, sent: now };
    this.#current = connection;
    socket.onopen = () => socket.send(JSON.stringify(this.hello()));
    socket.onmessage = ({ data }) => this.#receive(connection, JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.#current === connection && this.#closed(code, connection.failure || reason);
  }

  #receive(connection, message) {
    connection.received = performance.now() / 1000;
    // After the end, what has been found still counts; after another beginning, only events do.
    if (connection !== this.#current && this.state !== 'idle' && message.type !== 'event') return;
    const at = time => time + (connection.base ?? 0);
    switch (message.type) {
      case 'ready':
        connection.ready = true;
        this.#tries = 0;
        this.#state('open', 'Listening');
        this.onready(message);
        break;
      case 'event':
        this.onevent({ ...message, time: at(message.time), start: at(message.start), end: at(message.end) });
        break;
      case 'decision':
        this.ondecision({ ...message, time: at(message.time) });
        break;
      case 'frames':
        this.onframes({
          time: at(message.time), mels: message.mels, rows: Uint8Array.from(atob(message.rows), c => c.charCodeAt(0)),
        });
        break;
      case 'warning':
        this.onwarning(message.text);
        break;
      case 'lag':
        this.onlag(message.seconds);
        break;
      case 'error':
        connection.failure = message.text;
    }
  }

  #closed(code, text) {
    if ([1003, 1007, 1008].includes(code)) return this.#refused(text || 'The server refused the stream.', 400);
    this.#wait(text);
  }

  #refused(text, status) {
    this.#current = undefined;
    this.#state('refused', text);
    this.onrefused(status, text);
  }

  #broken(text) {
    this.#current.socket.close();
    this.#wait(text);
  }

  // wait tries again, later and later. A page does not see why a connection is refused: a plain request does.
  #wait(text) {
    this.#current = undefined;
    const wait = Math.min(longestWait, firstWait * 2 ** this.#tries++) * (0.8 + 0.4 * Math.random());
    this.#state('waiting', `${text ? `${text.replace(/\.$/, '')}. ` : ''}Connection lost, next try in ${Math.ceil(wait)} s`);
    this.#timer = setTimeout(async () => {
      try {
        await request('v1/models');
      } catch (refusal) {
        if (this.state !== 'waiting') return;
        if (refusal.status === 401 || refusal.status === 403) return this.#refused(refusal.message, refusal.status);
      }
      if (this.state === 'waiting') this.#connect();
    }, 1000 * wait);
  }
}
