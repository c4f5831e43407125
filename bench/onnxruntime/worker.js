// The ONNX Runtime side of bench/run.py: a worker that speaks the language of bench/serve. Its one case runs a model.
const fs = require('fs');
const readline = require('readline');
const ort = require('onnxruntime-node');

const cases = new Map();

// model runs the ONNX file's network on the input in another file.
async function model({ onnx, input, shape, threads }) {
  const session = await ort.InferenceSession.create(onnx, {
    intraOpNumThreads: threads, interOpNumThreads: 1, executionMode: 'sequential', graphOptimizationLevel: 'all',
  });
  const bytes = fs.readFileSync(input);
  const x = new ort.Tensor('float32', new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4), shape);
  return { run: () => session.run({ x }) };
}

async function answer(request) {
  switch (request.do) {
    case 'hello':
      return { facts: { onnxruntime: ort.env.versions.common, node: process.version } };
    case 'forget':
      cases.clear();
      return {};
    case 'prepare':
      cases.set(request.name, await model(request.args));
      return {};
  }
  const { run } = cases.get(request.name);
  const { y } = await run(); // before timing it brings caches and threads back
  if (request.do === 'result') {
    fs.writeFileSync(request.path, new Uint8Array(y.data.buffer, y.data.byteOffset, y.data.byteLength));
    return {};
  }
  const started = process.hrtime.bigint();
  for (let i = 0; i < request.calls; i++) await run();
  return { seconds: Number(process.hrtime.bigint() - started) / 1e9 / request.calls };
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const reply = await answer(JSON.parse(line)).catch((e) => ({ error: String(e) }));
    process.stdout.write(JSON.stringify(reply) + '\n');
  }
}

main();
