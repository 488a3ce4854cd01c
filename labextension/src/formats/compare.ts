/** Two files row by row. */

import { scaleOfBits, type ScaleFile } from './reading';

export interface RowChange {
  name: string;
  bitsA: number;
  bitsB: number;
  /** Scale of B over that of A; NaN where it means nothing. */
  ratio: number;
  /** How many float32 values lie between the two; -1 where a NaN is in play. */
  ulps: number;
}

export interface FileDiff {
  onlyInA: string[];
  onlyInB: string[];
  changed: RowChange[];
  equal: string[];
  orderDiffers: boolean;
}

/** Pattern of the scale that counts for each name: the last one's. */
export const bitsByName = (file: ScaleFile): Map<string, number> =>
  new Map(file.rows.map(({ name, bits }) => [name, bits]));

/** Compare two files; scales are compared bit for bit. */
export function diff(a: ScaleFile, b: ScaleFile): FileDiff {
  const bitsA = bitsByName(a);
  const bitsB = bitsByName(b);
  const common = [...bitsA.keys()].filter(name => bitsB.has(name));
  const commonInB = [...bitsB.keys()].filter(name => bitsA.has(name));
  return {
    onlyInA: [...bitsA.keys()].filter(name => !bitsB.has(name)),
    onlyInB: [...bitsB.keys()].filter(name => !bitsA.has(name)),
    changed: common
      .filter(name => bitsA.get(name) !== bitsB.get(name))
      .map(name => changeOf(name, bitsA.get(name)!, bitsB.get(name)!)),
    equal: common.filter(name => bitsA.get(name) === bitsB.get(name)),
    orderDiffers: common.some((name, i) => name !== commonInB[i])
  };
}

export function changeOf(name: string, bitsA: number, bitsB: number): RowChange {
  const a = scaleOfBits(bitsA);
  const b = scaleOfBits(bitsB);
  if (Number.isNaN(a) || Number.isNaN(b)) {
    return { name, bitsA, bitsB, ratio: NaN, ulps: -1 };
  }
  let ratio = Number.isFinite(a) ? b / a : NaN;
  if (a === 0) {
    ratio = b === 0 ? NaN : b < 0 ? -Infinity : Infinity;
  }
  return { name, bitsA, bitsB, ratio, ulps: Math.abs(ordinal(bitsB) - ordinal(bitsA)) };
}

/** Place of a float32 among all float32 values in ascending order, 0 for both zeros. */
const ordinal = (bits: number): number => (bits < 0x80000000 ? bits : 0x80000000 - bits);
