/** A numpy file of records, as `numpy.save` writes it: fields by name, read in place. */

export class NpyError extends Error {}

export interface Records {
  /** Rows and columns; one column where the array has one dimension. */
  shape: number[];
  /** The value of a field in one record. */
  get(record: number, field: string): number;
}

/** More records in one direction than any file has. */
const MOST = 2 ** 24;

type Reader = (view: DataView, at: number) => number;

const READERS: Record<string, [number, Reader]> = {
  u1: [1, (view, at) => view.getUint8(at)],
  '<i4': [4, (view, at) => view.getInt32(at, true)],
  '<i8': [8, (view, at) => Number(view.getBigInt64(at, true))],
  '<f8': [8, (view, at) => view.getFloat64(at, true)]
};

/** Read records whose layout is exactly `wanted` (name, type); anything else is refused. */
export function readRecords(data: Uint8Array, wanted: [string, string][]): Records {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < 12 || String.fromCharCode(...data.subarray(1, 6)) !== 'NUMPY' || data[0] !== 0x93) {
    throw new NpyError('it is no numpy file');
  }
  const long = data[6] > 1;
  const start = long ? 12 : 10;
  const length = long ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = new TextDecoder('latin1').decode(data.subarray(start, start + length));
  const shape = /'shape': \(([0-9, ]*)\)/.exec(header);
  const layout = wanted.map(([name, type]) => `('${name}', '${type === 'u1' ? '|u1' : type}')`).join(', ');
  if (!shape || !header.includes(`'descr': [${layout}]`) || !header.includes("'fortran_order': False")) {
    throw new NpyError('the records have another layout');
  }
  const places = new Map<string, [number, Reader]>();
  let size = 0;
  for (const [name, type] of wanted) {
    const [width, reader] = READERS[type];
    places.set(name, [size, reader]);
    size += width;
  }
  const sizes = shape[1].split(',').filter(part => part.trim()).map(Number);
  const count = sizes.reduce((product, n) => product * n, 1);
  if (sizes.some(n => n > MOST)) {
    throw new NpyError('the records have another layout');
  }
  if (data.length < start + length + count * size) {
    throw new NpyError('it ends too early');
  }
  return {
    shape: sizes,
    get: (record, field) => {
      const [offset, reader] = places.get(field)!;
      return reader(view, start + length + record * size + offset);
    }
  };
}
