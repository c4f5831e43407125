// Label files as docs/output.md describes them: label tracks for Audacity, and CSV.

// Control characters, and those that turn text around or are invisible, are written as U+FFFD and hexadecimal digits.
const unsafe = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffd]/g;

const hex = text => [...new TextEncoder().encode(text)]
  .map(b => `\ufffd${b.toString(16).toUpperCase().padStart(2, '0')}`).join('');

const safe = text => text.replace(unsafe, hex);

// field quotes a field of CSV. Spreadsheets would compute one that begins like a formula.
function field(value) {
  let text = safe(String(value));
  if (text.length > 1 && /^[=+\-@]/.test(text) && typeof value === 'string') text = hex(text[0]) + text.slice(1);
  return /[",\n\r]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const line = values => `${values.map(field).join(',')}\n`;

const six = v => Number(v.toPrecision(6));

const micro = v => Number(v.toFixed(6));

// audacity returns a label track of events.
export const audacity = events => events
  .map(e => `${e.start.toFixed(6)}\t${e.end.toFixed(6)}\t${safe(e.label)}\n`).join('');

// csv returns a table of live events.
export const csv = events => line(['kind', 'time', 'start', 'end', 'clock', 'label', 'p']) + events
  .map(e => line(['detection', micro(e.time), micro(e.start), micro(e.end), e.clock ?? '', e.label, six(e.p)])).join('');

const top = 3; // labels of a file's result

// filesCSV returns a table of the results of files: their events, then a line for each.
export function filesCSV(files) {
  const labels = Array.from({ length: top }, (_, i) => [`label${i + 1}`, `p${i + 1}`]).flat();
  let text = line(['kind', 'file', 'start', 'end', 'events', 'message', ...labels]);
  const rest = Array(2 * top - 2).fill('');
  for (const { name, result, error, events } of files) {
    for (const e of events) text += line(['detection', name, micro(e.start), micro(e.end), '', '', e.label, six(e.p), ...rest]);
    if (error) text += line(['error', name, '', '', '', error, '', '', ...rest]);
    if (!result) continue;
    const scores = result.labels.slice(0, top).flatMap(s => [s.label, six(s.p)]);
    while (scores.length < 2 * top) scores.push('');
    text += line(['result', name, 0, micro(result.seconds), result.events, (result.warning ?? []).join('; '), ...scores]);
  }
  return text;
}
