/** What a saved session (.trtcal) says without running anything: facts, and extremes and tallies of every tensor. */

import { blockwise, type ByteSource } from '../bytes';
import { Pairs, parseJson, type Json } from '../formats/json';
import { damageOf, type Facts } from './check';
import { NpyError, readRecords, type Records } from './npy';
import { readMember, ZipError, zipDirectory } from './zip';

export class SessionError extends Error {}

export interface TensorSummary {
  name: string;
  opType: string;
  kind: string;
  dtype: string;
  shape: string;
  /** Names that share its scale, itself included; the first decides. */
  group: string[];
  /** The user's choice for its group: a method, or an amax; null where the session's method decides. */
  choice: { method: string } | { amax: number } | null;
  /** Over the counted batches; NaN without a value. */
  minimum: number;
  maximum: number;
  /** Largest finite |x|: the minmax threshold. */
  amax: number;
  zeros: number;
  nans: number;
  infs: number;
  /** Largest finite |x| of each recorded batch, NaN where it has none. */
  perBatch: number[];
}

export interface SessionSummary {
  model: string;
  sha256: string;
  opset: number;
  writtenBy: string;
  rangeMode: string;
  runner: string;
  source: string;
  batchSize: number | null;
  recorded: number;
  batches: number | null;
  samples: number;
  totalSamples: number | null;
  dropped: number;
  /** How many batches are counted, less the excluded ones. */
  position: number;
  excluded: number[];
  /** Single samples that are left out, numbered through all batches. */
  samplesOut: number[];
  /** The batches that are counted, whole or what is left of them. */
  counted: number[];
  method: string;
  selected: string;
  choices: number;
  groups: number;
  nodes: number;
  weights: number;
  /** All that have a row in TensorRT's cache. */
  tensors: TensorSummary[];
}

const RECORD: [string, string][] = [
  ['present', 'u1'],
  ['itemsize', 'u1'],
  ['first', '<i8'],
  ['doublings', '<i4'],
  ['base', '<f8'],
  ['minimum', '<f8'],
  ['maximum', '<f8'],
  ['sum', '<f8'],
  ['sum_squares', '<f8'],
  ['edge', '<i8'],
  ['zeros', '<i8'],
  ['nans', '<i8'],
  ['pos_infs', '<i8'],
  ['neg_infs', '<i8'],
  ['offset', '<i8'],
  ['length', '<i8']
];

const FORMAT = 'trtcal_widgets session';
const FORMAT_VERSION = 1;
const FLOATS = new Set(['float32', 'float16', 'bfloat16', 'float64']);
const LARGEST = 2 ** 30;

/** Read a session; throws a SessionError that says what to do. */
export async function readSession(source: ByteSource, name: string): Promise<SessionSummary> {
  try {
    return await read(blockwise(source), name);
  } catch (error) {
    if (error instanceof SessionError) {
      throw error;
    }
    if (error instanceof ZipError || error instanceof NpyError || error instanceof SyntaxError) {
      throw damaged(name, error.message);
    }
    throw error; // a server that does not answer, for instance
  }
}

const damaged = (name: string, reason: string): SessionError =>
  new SessionError(
    `${name}: this is not a saved session, or it is damaged (${reason}). Save the session again, or record it anew`
  );

async function read(source: ByteSource, name: string): Promise<SessionSummary> {
  const members = await zipDirectory(source);
  const text = new TextDecoder().decode(await readMember(source, members, 'session.json', LARGEST));
  const facts = plain(parseJson(text)) as Facts;
  if (typeof facts !== 'object' || facts === null || facts.format !== FORMAT) {
    throw new SessionError(`${name}: this is not a saved session of trtcal_widgets`);
  }
  if (facts.format_version > FORMAT_VERSION) {
    throw new SessionError(
      `${name} was written by a newer version (${writerOf(facts)}): update trtcal_widgets to look into it`
    );
  }
  const damage = damageOf(facts);
  if (damage) {
    throw new SessionError(`${name}: ${damage}. Record the session anew`);
  }
  const records = readRecords(await readMember(source, members, 'records.npy', LARGEST), RECORD);
  const constants = readRecords(await readMember(source, members, 'constants.npy', LARGEST), RECORD);
  // Sessions of before have none: no sample could be left out then.
  const without = members.has('without.npy')
    ? readRecords(await readMember(source, members, 'without.npy', LARGEST), RECORD)
    : null;
  try {
    return summary(facts, records, constants, without);
  } catch (error) {
    if (error instanceof SessionError) {
      throw new SessionError(`${name}: ${error.message}`);
    }
    // What is read is all there: other facts than a session has.
    throw error instanceof TypeError || error instanceof RangeError ? damaged(name, 'something is missing in it') : error;
  }
}

const writerOf = ({ written_by: text }: Facts): string => (typeof text === 'string' ? text : 'an unknown version');

function plain(value: Json): unknown {
  if (value instanceof Pairs) {
    return Object.assign(
      Object.create(null),
      Object.fromEntries(value.pairs.map(([key, inner]) => [key, plain(inner)]))
    );
  }
  return Array.isArray(value) ? value.map(plain) : value;
}

type SavedTensor = [string, string, string, (number | string | null)[] | null, number, number[], boolean];

/** One record of an array of them. */
type Counted = [Records, number];

/** Batch -> the row of records that is counted: all of the batch, or what is left of it without some of its samples. */
function countedRows(facts: Facts, batches: number, records: Records, without: Records | null): Map<number, Counted> {
  const { state } = facts;
  const excluded = new Set<number>(state.excluded);
  const out: number[] = state.samples_out ?? [];
  const parts = samplesOf(out, out.length ? (facts.samples as { n: number }[]).map(({ n }) => n) : []);
  const kept = new Map((facts.without as [number, number[]][] ?? []).map(([batch, samples], row) => [key(batch, samples), row]));
  const rows = new Map<number, Counted>();
  for (let batch = 0; batch < Math.min(state.position, batches); batch += 1) {
    const { size, own } = parts[batch] ?? { size: 0, own: [] };
    if (excluded.has(batch) || (size > 0 && own.length === size)) {
      continue;
    }
    const row = own.length ? kept.get(key(batch, own)) : batch;
    const where = own.length ? without : records;
    if (row === undefined || !where) {
      throw new SessionError('what is left of a batch without some of its samples is missing: the file is damaged');
    }
    rows.set(batch, [where, row]);
  }
  return rows;
}

/** Of each batch how many samples it has, and which places in it these samples have, in one walk over both. */
function samplesOf(samples: number[], sizes: number[]): { size: number; own: number[] }[] {
  const sorted = [...new Set(samples)].sort((a, b) => a - b);
  let [start, next] = [0, 0];
  return sizes.map(size => {
    const own: number[] = [];
    for (; next < sorted.length && sorted[next] < start + size; next += 1) {
      own.push(sorted[next] - start);
    }
    start += size;
    return { size, own };
  });
}

const key = (batch: number, places: number[]): string => `${batch}:${[...places].sort((a, b) => a - b).join(',')}`;

function summary(facts: Facts, records: Records, constants: Records, without: Records | null): SessionSummary {
  const { graph, state, status } = facts;
  const saved = graph.tensors as SavedTensor[];
  const floats = saved.filter(([, , dtype]) => FLOATS.has(dtype));
  const [batches, width] = records.shape;
  // Behind the model's tensors come those that only TensorRT 8's parser has; they are not shown.
  const inner: string[] = graph.trt8?.inner ?? [];
  const fits =
    [records, constants].every(({ shape }) => shape.length === 2) &&
    width === floats.length + inner.length &&
    constants.shape[1] === floats.length &&
    (!without?.shape[0] || without.shape[1] === width);
  if (!fits) {
    throw new SessionError('the saved histograms do not fit their index: the file is damaged');
  }
  const counted = countedRows(facts, batches, records, without);
  const groups = new Map<string, string[]>();
  for (const group of graph.groups as string[][]) {
    group.forEach(member => groups.set(member, group));
  }
  const nodes = graph.nodes as [string, string, string, string[], string[]][];
  const tensors: TensorSummary[] = [];
  floats.forEach(([name, kind, dtype, shape, producer], column) => {
    if (kind === 'weight') {
      return;
    }
    const group = groups.get(name) ?? [name];
    const constant = constants.shape[0] > 0 && constants.get(column, 'present') === 1;
    tensors.push({
      name,
      opType: producer >= 0 ? nodes[producer][1] : '',
      kind,
      dtype,
      shape: shape === null ? '[?]' : `[${shape.map(size => size ?? '?').join(',')}]`,
      group,
      choice: state.choices[group[0]] ?? null,
      ...(constant
        ? { ...tally([[constants, column]]), perBatch: [] }
        : {
            ...tally([...counted.values()].map(([where, row]) => [where, row * width + column])),
            perBatch: Array.from({ length: batches }, (_, batch) => tally([[records, batch * width + column]]).amax)
          })
    });
  });
  return {
    model: graph.name,
    sha256: graph.sha256,
    opset: graph.opset,
    writtenBy: writerOf(facts),
    rangeMode: facts.range_mode,
    runner: facts.runner,
    source: facts.source,
    batchSize: facts.plan.batch_size ?? null,
    recorded: batches,
    batches: status.n_batches ?? null,
    samples: status.n_samples ?? 0,
    totalSamples: status.total_samples ?? null,
    dropped: status.dropped ?? 0,
    position: state.position,
    excluded: [...new Set<number>(state.excluded)].sort((a, b) => a - b),
    counted: [...counted.keys()],
    samplesOut: [...((state.samples_out ?? []) as number[])].sort((a, b) => a - b),
    method: state.method,
    selected: state.selected,
    choices: Object.keys(state.choices).length,
    groups: graph.groups.length,
    nodes: nodes.length,
    weights: saved.filter(([, kind]) => kind === 'weight').length,
    tensors
  };
}

type Tally = Pick<TensorSummary, 'minimum' | 'maximum' | 'amax' | 'zeros' | 'nans' | 'infs'>;

/** Put the records of one tensor together. Extremes are infinite the wrong way round where there was no value. */
function tally(which: Counted[]): Tally {
  let [minimum, maximum, zeros, nans, infs] = [Infinity, -Infinity, 0, 0, 0];
  for (const [records, record] of which) {
    if (records.get(record, 'present') !== 1) {
      continue;
    }
    minimum = Math.min(minimum, records.get(record, 'minimum'));
    maximum = Math.max(maximum, records.get(record, 'maximum'));
    zeros += records.get(record, 'zeros');
    nans += records.get(record, 'nans');
    infs += records.get(record, 'pos_infs') + records.get(record, 'neg_infs');
  }
  const none = minimum > maximum;
  return {
    minimum: none ? NaN : minimum,
    maximum: none ? NaN : maximum,
    amax: none ? NaN : Math.max(maximum, -minimum),
    zeros,
    nans,
    infs
  };
}
