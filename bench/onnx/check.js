// Runs exported models in ONNX Runtime on the sounds of `onnx cases` and compares the answers with those of
// `onnx answers`. ONNX Runtime is the one that bench/onnxruntime pins.
//
//     node check.js DIR
//
// For each sound S and each model M in DIR: M.onnx and M.samples.onnx, S.M.logits and S.M.probabilities.
const fs = require('fs');
const path = require('path');
const ort = require('../onnxruntime/node_modules/onnxruntime-node');

const tolerance = 1e-4;
// Of logits of about 10: float32 sums may move what a narrow convolution reads across the middle of two levels. ONNX
// Runtime's optimisations round more than the graph says, and are left out.
const narrowTolerance = 0.3;
const batch = 16;

function readFloats(...parts) {
  const bytes = fs.readFileSync(path.join(...parts));
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

function largest(values) {
  return values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
}

function difference(got, want) {
  if (got.length !== want.length) throw new Error(`${got.length} values instead of ${want.length}`);
  // Not a number counts as infinitely far.
  return got.reduce((most, v, i) => Math.max(most, Number.isNaN(v) ? Infinity : Math.abs(v - want[i])), 0);
}

// answer runs the clips in batches, the last one smaller, and returns {logits, probabilities}.
async function answer(session, clips, shape) {
  const input = session.inputNames[0];
  const size = shape.reduce((a, b) => a * b);
  const outputs = { logits: [], probabilities: [] };
  for (let at = 0; at < clips.length; at += batch * size) {
    const part = clips.subarray(at, at + batch * size);
    const feeds = { [input]: new ort.Tensor('float32', part, [part.length / size, ...shape]) };
    const results = await session.run(feeds);
    for (const name in outputs) outputs[name].push(...results[name].data);
  }
  return outputs;
}

async function check(dir, model, sounds) {
  let worst = 0;
  for (const input of ['log_mel', 'samples']) {
    const file = path.join(dir, model + (input === 'samples' ? '.samples.onnx' : '.onnx'));
    const graphOptimizationLevel = model.startsWith('narrow-') ? 'disabled' : 'all';
    const session = await ort.InferenceSession.create(file, { graphOptimizationLevel });
    if (session.inputNames[0] !== input) throw new Error(`${file}: its input is ${session.inputNames[0]}`);
    for (const s of sounds) {
      const [file, shape] = input === 'samples' ? ['.samples', [s.Samples]] : ['.rows', [s.Frames, s.Mels]];
      const got = await answer(session, readFloats(dir, s.Name + file), shape);
      const logits = readFloats(dir, `${s.Name}.${model}.logits`);
      const d = difference(got.logits, logits);
      const p = difference(got.probabilities, readFloats(dir, `${s.Name}.${model}.probabilities`));
      worst = Math.max(worst, d, p);
      console.log([model.padEnd(19), input.padEnd(8), `${s.Clips} clips of ${s.Samples} samples`.padEnd(27),
        `largest logit ${largest(logits).toFixed(1).padStart(5)}`, `max |Δlogit| ${d.toExponential(1)}`,
        `max |Δprobability| ${p.toExponential(1)}`].join('  '));
    }
  }
  return worst;
}

async function main(dir) {
  console.log(`ONNX Runtime ${ort.env.versions.node}`);
  const sounds = JSON.parse(fs.readFileSync(path.join(dir, 'sounds.json')));
  const files = fs.readdirSync(dir).filter((f) => f.endsWith('.safetensors'));
  const models = files.map((f) => path.basename(f, '.safetensors'));
  for (const model of models.sort()) {
    const worst = await check(dir, model, sounds);
    const allowed = model.startsWith('narrow-') ? narrowTolerance : tolerance;
    if (!(worst <= allowed)) {
      console.error(`${model}: differences up to ${worst}, of which ${allowed} are allowed`);
      process.exitCode = 1;
    }
  }
}

main(process.argv[2]);
