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

const SMALLEST = 1 << 16;
const LARGEST = 1 << 22;
const KEPT = 8;

interface Block {
  start: number;
  end: number;
  data: Promise<Uint8Array>;
}

/**
 * Reads ahead and keeps the last few blocks, so that many small reads cost few requests.
 *
 * Neighbouring blocks grow up to 4 MB; after a leap (over the weights of a layer) it begins with 64 kB again.
 */
export function blockwise(source: ByteSource): ByteSource {
  const blocks: Block[] = [];
  const fetch = (start: number, wanted: number): Block => {
    const last = blocks[blocks.length - 1];
    const follows = last !== undefined && start >= last.start && start <= last.end;
    const ahead = follows ? Math.min(2 * (last.end - last.start), LARGEST) : SMALLEST;
    const end = Math.min(Math.max(start + ahead, wanted), source.size);
    const block = { start, end, data: source.read(start, end) };
    blocks.push(block);
    if (blocks.length > KEPT) {
      blocks.shift();
    }
    return block;
  };
  return {
    size: source.size,
    read: async (start, end) => {
      end = Math.min(end, source.size);
      if (end <= start) {
        return new Uint8Array(0);
      }
      const block = blocks.find(kept => kept.start <= start && end <= kept.end) ?? fetch(start, end);
      const data = await block.data;
      return data.subarray(start - block.start, end - block.start);
    }
  };
}
