/** Parts of a file, read when they are wanted: a model of 2 GB is mostly weights that nobody looks at. */

export interface ByteSource {
  readonly size: number;
  /** Bytes from start up to end (cut at the end of the file). */
  read(start: number, end: number): Promise<Uint8Array>;
}

export const memorySource = (data: Uint8Array): ByteSource => ({
  size: data.length,
  read: async (start, end) => data.subarray(start, end)
});

const BLOCK = 1 << 20;
const KEPT = 16;

/** Reads whole blocks and keeps the last few: neighbouring small reads cost one request. */
export function blockwise(source: ByteSource, block = BLOCK): ByteSource {
  const kept = new Map<number, Promise<Uint8Array>>();
  const blockAt = (index: number): Promise<Uint8Array> => {
    let found = kept.get(index);
    if (!found) {
      found = source.read(index * block, Math.min((index + 1) * block, source.size));
      kept.set(index, found);
      if (kept.size > KEPT) {
        kept.delete(kept.keys().next().value!);
      }
    }
    return found;
  };
  return {
    size: source.size,
    read: async (start, end) => {
      end = Math.min(end, source.size);
      if (end - start > block * (KEPT - 2)) {
        return source.read(start, end);
      }
      const first = Math.floor(start / block);
      const last = Math.floor(Math.max(end - 1, start) / block);
      if (first === last) {
        return (await blockAt(first)).subarray(start - first * block, end - first * block);
      }
      const joined = new Uint8Array(end - start);
      for (let index = first; index <= last; index += 1) {
        const from = Math.max(start, index * block);
        const to = Math.min(end, (index + 1) * block);
        joined.set((await blockAt(index)).subarray(from - index * block, to - index * block), from - start);
      }
      return joined;
    }
  };
}
