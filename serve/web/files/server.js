// The server: requests with the access token, and the live stream, which comes back when its connection breaks.

const tokenKey = 'polyphon.token';

export const token = {
  get: () => sessionStorage.getItem(tokenKey) ?? '',
  set: value => sessionStorage.setItem(tokenKey, value),
};

// request sends to the server. What it refuses is an Error with its reason and a status; 0 is one that does not answer.
export async function request(path, options = {}) {
  const headers = { ...options.headers };
  if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
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
// onstate(state, text), onready(hello), onevent, ondecision, onframes, onwarning(text), onlag(seconds), onrefused(status).
// States are idle, connecting, open, waiting (for the next try) and refused.
export class Stream {
  state = 'idle';

  #tries = 0;
  #socket;
  #timer;
  #ready = false;

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
    const socket = this.#socket;
    this.#socket = undefined;
    this.#ready = false;
    if (socket?.readyState === WebSocket.OPEN) {
      socket.send('{"eof":true}');
      socket.close(1000);
    } else socket?.close();
    this.#state('idle', '');
  }

  // send sends a piece of the microphone's sound that begins at time, or drops it while there is no connection.
  send(samples, time, rate) {
    if (!this.#ready) return;
    const socket = this.#socket;
    this.base ??= time;
    const now = performance.now() / 1000;
    if (now - this.received > silent && now - this.sent < 1) return this.#broken('The server is silent.');
    if (socket.bufferedAmount > 4 * rate * queued) return this.#broken('The network is too slow for the sound.');
    this.sent = now;
    socket.send(samples);
  }

  // thresholds changes those of the running stream.
  thresholds(values) {
    if (this.#ready) this.#socket.send(JSON.stringify({ thresholds: values }));
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
      socket = new WebSocket(url, ['polyphon.v1', ...token.get() ? [`bearer.${token.get()}`] : []]);
    } catch {
      return this.#refused('The token has characters that no token has.', 401);
    }
    this.#socket = socket;
    this.base = undefined;
    this.received = this.sent = performance.now() / 1000;
    socket.onopen = () => socket.send(JSON.stringify(this.hello()));
    socket.onmessage = ({ data }) => this.#socket === socket && this.#receive(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.#socket === socket && this.#closed(code, reason);
  }

  #receive(message) {
    this.received = performance.now() / 1000;
    const at = time => time + (this.base ?? 0);
    switch (message.type) {
      case 'ready':
        this.#ready = true;
        this.#tries = 0;
        this.onready(message);
        this.#state('open', 'Listening');
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
        this.failure = message.text;
    }
  }

  #closed(code, reason) {
    const text = this.failure || reason;
    this.failure = undefined;
    if ([1003, 1007, 1008].includes(code)) return this.#refused(text || 'The server refused the stream.', 400);
    this.#wait(text);
  }

  #refused(text, status) {
    this.#socket = undefined;
    this.#ready = false;
    this.#state('refused', text);
    this.onrefused(status, text);
  }

  #broken(text) {
    this.#socket.onclose = null;
    this.#socket.close();
    this.#wait(text);
  }

  // wait tries again, later and later. A page does not see why a connection is refused: a plain request does.
  #wait(text) {
    this.#socket = undefined;
    this.#ready = false;
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
