// Small things that the parts of the page share.

export const $ = id => document.getElementById(id);

// element makes an element with attributes, properties (those that are functions or begin with a dot) and children.
export function element(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') e[key] = value;
    else if (value !== undefined && value !== false) e.setAttribute(key, value === true ? '' : value);
  }
  e.append(...children);
  return e;
}

// clock writes seconds as minutes and seconds.
export function clock(seconds, digits = 0) {
  const tenths = 10 ** digits, all = Math.round(Math.max(0, seconds) * tenths);
  const s = (all % (60 * tenths) / tenths).toFixed(digits);
  return `${Math.floor(all / (60 * tenths))}:${s.padStart(digits ? digits + 3 : 2, '0')}`;
}

export const percent = p => `${(100 * p).toFixed(1)} %`;

// notice shows a message, once while it is there, for some seconds or until it is closed.
export function notice(text, seconds = 0) {
  const log = $('notices');
  const same = [...log.children].find(n => n.firstChild.textContent === text);
  if (same) return;
  const close = element('button', { type: 'button', 'aria-label': 'Close message', onclick: () => note.remove() }, '×');
  const note = element('p', { class: 'notice' }, element('span', {}, text), close);
  log.append(note);
  if (log.children.length > 5) log.firstChild.remove();
  if (seconds) setTimeout(() => note.remove(), 1000 * seconds);
}

// Kept is a value that the browser keeps under a key, in localStorage or, until the tab is closed, in sessionStorage,
// or this page alone where a browser keeps nothing.
export class Kept {
  constructor(storage, key) {
    Object.assign(this, { storage, key, value: null });
    try {
      this.value = window[storage].getItem(key);
    } catch { /* not allowed */ }
  }

  set(value) {
    this.value = value;
    try {
      if (value === null) window[this.storage].removeItem(this.key);
      else window[this.storage].setItem(this.key, value);
    } catch { /* not allowed */ }
  }
}

// download gives the person a file.
export function download(name, content) {
  const blob = content instanceof Blob ? content : new Blob([content], { type: 'text/plain;charset=utf-8' });
  const link = element('a', { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
