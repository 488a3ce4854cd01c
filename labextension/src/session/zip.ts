/** Members of a zip file, by its directory: only what is asked for is read and unpacked. */

import { inflateSync } from 'fflate';

import type { ByteSource } from '../bytes';

export interface ZipMember {
  method: number;
  crc: number;
  packed: number;
  size: number;
  offset: number;
}

export class ZipError extends Error {}

const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const ALL32 = 0xffffffff;
/** Deflate packs at most 1032 bytes into one. */
const MOST_DEFLATED = 1032;
const LONGEST_TAIL = 22 + 65535;

const viewOf = (data: Uint8Array): DataView => new DataView(data.buffer, data.byteOffset, data.byteLength);

const int64 = (view: DataView, at: number): number => {
  const value = Number(view.getBigUint64(at, true));
  if (!Number.isSafeInteger(value)) {
    throw new ZipError('its directory is damaged');
  }
  return value;
};

/** Read the directory: name to place. */
export async function zipDirectory(source: ByteSource): Promise<Map<string, ZipMember>> {
  try {
    return await directoryOf(source);
  } catch (error) {
    throw error instanceof RangeError ? new ZipError('its directory is damaged') : error;
  }
}

async function directoryOf(source: ByteSource): Promise<Map<string, ZipMember>> {
  const start = Math.max(0, source.size - LONGEST_TAIL);
  const tail = await source.read(start, source.size);
  const view = viewOf(tail);
  let end = tail.length - 22;
  while (end >= 0 && (view.getUint32(end, true) !== END || end + 22 + view.getUint16(end + 20, true) !== tail.length)) {
    end -= 1;
  }
  if (end < 0) {
    throw new ZipError('it is no zip file, or its end is missing');
  }
  let count = view.getUint16(end + 10, true);
  let size = view.getUint32(end + 12, true);
  let offset = view.getUint32(end + 16, true);
  if (end >= 20 && view.getUint32(end - 20, true) === LOCATOR64) {
    const at = int64(view, end - 20 + 8);
    const end64 = viewOf(await source.read(at, at + 56));
    if (end64.getUint32(0, true) !== END64) {
      throw new ZipError('its directory is damaged');
    }
    count = int64(end64, 32);
    size = int64(end64, 40);
    offset = int64(end64, 48);
  }
  return entriesOf(await source.read(offset, offset + size), count);
}

function entriesOf(directory: Uint8Array, count: number): Map<string, ZipMember> {
  const view = viewOf(directory);
  const members = new Map<string, ZipMember>();
  let at = 0;
  for (let n = 0; n < count; n += 1) {
    if (view.getUint32(at, true) !== ENTRY) {
      throw new ZipError('its directory is damaged');
    }
    const [nameSize, extraSize, commentSize] = [28, 30, 32].map(place => view.getUint16(at + place, true));
    const member = {
      method: view.getUint16(at + 10, true),
      crc: view.getUint32(at + 16, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      offset: view.getUint32(at + 42, true)
    };
    const name = new TextDecoder().decode(directory.subarray(at + 46, at + 46 + nameSize));
    readExtra(view, at + 46 + nameSize, extraSize, member);
    members.set(name, member);
    at += 46 + nameSize + extraSize + commentSize;
  }
  return members;
}

/** Sizes beyond 4 GB stand in an extra field, in a fixed order, those only that need it. */
function readExtra(view: DataView, at: number, size: number, member: ZipMember): void {
  const end = at + size;
  while (at + 4 <= end) {
    const kind = view.getUint16(at, true);
    const length = view.getUint16(at + 2, true);
    if (kind === 1) {
      let place = at + 4;
      for (const field of ['size', 'packed', 'offset'] as const) {
        if (member[field] === ALL32) {
          member[field] = int64(view, place);
          place += 8;
        }
      }
    }
    at += 4 + length;
  }
}

/** Unpack one member, and check it against its checksum. */
export async function readMember(
  source: ByteSource,
  members: Map<string, ZipMember>,
  name: string,
  largest: number
): Promise<Uint8Array> {
  const member = members.get(name);
  if (!member) {
    throw new ZipError(`it holds no ${name}`);
  }
  if (member.size > MOST_DEFLATED * Math.max(member.packed, 1)) {
    throw new ZipError(`its ${name} claims a size that no honest file has`);
  }
  if (member.size > largest) {
    throw new ZipError(`its ${name} is too large to be looked at here`);
  }
  const local = viewOf(await source.read(member.offset, member.offset + 30));
  if (local.byteLength < 30 || local.getUint32(0, true) !== LOCAL) {
    throw new ZipError(`its ${name} is damaged`);
  }
  const start = member.offset + 30 + local.getUint16(26, true) + local.getUint16(28, true);
  const packed = await source.read(start, start + member.packed);
  let data: Uint8Array;
  try {
    data = member.method === 0 ? packed : inflateSync(packed, { out: new Uint8Array(member.size) });
  } catch {
    throw new ZipError(`its ${name} is damaged`);
  }
  if ((member.method !== 0 && member.method !== 8) || data.length !== member.size || crc32(data) !== member.crc) {
    throw new ZipError(`its ${name} is damaged`);
  }
  return data;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit += 1) {
    c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  }
  return c;
});

function crc32(data: Uint8Array): number {
  let crc = -1;
  for (let i = 0; i < data.length; i += 1) {
    crc = TABLE[(crc ^ data[i]) & 255] ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}
