// The readers of the built extension, outside a browser: one request per line (JSON) in, one answer per line out.
//   node readers.mjs STATIC_FOLDER
// The files are run as JupyterLab runs them: the container first, then the chunks that it asks for by script elements.

import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import vm from 'node:vm';

const folder = process.argv[2];
const entry = readdirSync(folder).find(name => name.startsWith('remoteEntry.'));

const sandbox = { TextDecoder, TextEncoder, URL, Intl, console, setTimeout, clearTimeout };
sandbox.self = sandbox.window = sandbox.globalThis = sandbox;
sandbox.document = {
  currentScript: { src: 'http://x/static/remoteEntry.js', tagName: 'SCRIPT' },
  getElementsByTagName: () => [],
  createElement: () => ({ setAttribute() {}, getAttribute: () => null }),
  head: {
    appendChild(script) {
      run(basename(new URL(script.src).pathname));
      queueMicrotask(() => script.onload({ type: 'load' }));
    }
  }
};
vm.createContext(sandbox);
const run = name => vm.runInContext(readFileSync(join(folder, name), 'utf8'), sandbox, { filename: name });
run(entry);
const readers = (await sandbox._JUPYTERLAB.trtcal_widgets.get('./index'))();

const bytes = path => new Uint8Array(readFileSync(path));

const operations = {
  scale: ({ path, source }) => readers.readScaleFile(bytes(path), source),
  detect: ({ path }) => readers.detectFormat(bytes(path)),
  diff: ({ a, b }) => readers.diff(readers.readScaleFile(bytes(a), a), readers.readScaleFile(bytes(b), b)),
  fit: ({ path, version, algorithm }) =>
    readers.headerFits(readers.readScaleFile(bytes(path), path), version, algorithm),
  facts: ({ path, other }) => {
    const facts = readers.readFacts(readers.readScaleFile(bytes(path), path), other ? readers.readScaleFile(bytes(other), other) : null);
    return { names: facts.names, groups: facts.groups, notes: [...facts.notes], remarks: facts.remarks, severities: [...facts.severities] };
  },
  session: ({ path, source }) => readers.readSession(readers.memorySource(bytes(path)), source),
  onnx: async ({ path, source }) => {
    const model = await readers.readOnnx(readers.memorySource(bytes(path)), source);
    return { ...model, initializers: [...model.initializers.values()], constants: [...model.constants.values()], values: [...model.values.values()] };
  },
  stored: async ({ path }) => readers.storedText(await readers.readOnnx(readers.memorySource(bytes(path)), path)),
  /** How much of a file is read to show it. */
  cost: async ({ path, kind }) => {
    const whole = readers.memorySource(bytes(path));
    let [requests, read] = [0, 0];
    const counted = { size: whole.size, read: (start, end) => {
      requests += 1;
      read += end - start;
      return whole.read(start, end);
    } };
    await (kind === 'onnx' ? readers.readOnnx : readers.readSession)(counted, path);
    return { requests, read };
  },
  /** What comes out where the server is gone after so many reads: JupyterLab's own error is a kind of TypeError. */
  lost: async ({ path, kind, after }) => {
    const whole = readers.memorySource(bytes(path));
    const gone = new (vm.runInContext('TypeError', sandbox))('Failed to fetch');
    let left = after;
    const source = { size: whole.size, read: async (start, end) => {
      if ((left -= 1) < 0) {
        throw gone;
      }
      return whole.read(start, end);
    } };
    try {
      await (kind === 'onnx' ? readers.readOnnx : readers.readSession)(source, path);
      return 'read';
    } catch (error) {
      return error === gone ? 'gone' : error.message;
    }
  },
  search: ({ wanted, names }) => {
    const { fits, error } = readers.matcher(wanted);
    return { found: names.filter(fits), bad: error !== '' };
  },
  synthetic: ({ names }) => names.map(readers.syntheticLabel),
  repr: ({ texts }) => texts.map(readers.pythonRepr),
  floats: ({ values }) => values.map(value => [readers.pythonFloat(value), readers.significant(value), readers.typeset(value, 4)])
};

/** NaN, the infinities and negative zero have no JSON: they travel as marked texts. */
const encode = (_, value) =>
  typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)) ? `@number ${Object.is(value, -0) ? '-0.0' : value}` : value;
const decode = (_, value) => (typeof value === 'string' && value.startsWith('@number ') ? Number(value.slice(8)) : value);

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line, decode);
  let answer;
  try {
    answer = { value: await operations[request.op](request) };
  } catch (error) {
    answer = { error: error.message, kind: error.constructor.name, refused: error instanceof readers.FormatError || error instanceof readers.SessionError || error instanceof readers.OnnxError, stack: error.stack };
  }
  process.stdout.write(`${JSON.stringify(answer, encode)}\n`);
}
