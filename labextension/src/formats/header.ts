/** First line of a calibration cache, and the names that TensorRT makes up. */

import { FormatError, lineCore, PYTHON_SPACE, pythonRepr } from './text';

export const KNOWN_ALGORITHMS = ['EntropyCalibration2', 'MinMaxCalibration', 'EntropyCalibration', 'LegacyCalibration'];

const HEADER = new RegExp(`^TRT-([^-:${PYTHON_SPACE}]*)-([^:${PYTHON_SPACE}]+)$`);
const LEGACY = /^0?([0-9a-fA-F]{16})([0-9a-fA-F]{16})$/;
const LEGACY_8 = /^0 ([0-9a-fA-F]{16}) ([0-9a-fA-F]{16})$/;
const VERSION = /^[0-9]{1,3}(?:\.[0-9]{1,3}){1,3}$/;

export type Version = [number, number, number];

export interface CacheHeader {
  text: string;
  version: Version | null;
  algorithm: string;
  /** Quantile and regression cutoff of a legacy table. */
  legacy: [number, number] | null;
}

/** What a line below a cache's header begins with that is no row: TensorRT 8.6.0 takes a file that has one (run). */
export const COMMENT = '#';

/**
 * 1-based number of the line where a cache's header belongs: the first, or below one blank line, with which TensorRT
 * 8.6.0 takes it (run); of more blank lines nothing is known.
 */
export const headerPlace = (lines: string[]): number => (lineCore(lines[0]) || lines.length === 1 ? 1 : 2);

/** Header of a cache from its first line, or null if the line is none. */
export function parseHeader(text: string): CacheHeader | null {
  let match = HEADER.exec(text);
  if (match) {
    return { text, version: versionOrNull(match[1]), algorithm: match[2], legacy: null };
  }
  match = LEGACY.exec(text);
  if (match) {
    return { text, version: null, algorithm: 'LegacyCalibration', legacy: [hexDouble(match[1]), hexDouble(match[2])] };
  }
  match = LEGACY_8.exec(text);
  if (match) {
    return { text, version: null, algorithm: 'LegacyCalibration', legacy: [hexDouble(match[2]), hexDouble(match[1])] };
  }
  return null;
}

function hexDouble(digits: string): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(`0x${digits}`));
  return view.getFloat64(0);
}

function versionOrNull(digits: string): Version | null {
  if (!/^[1-9][0-9]{3}(?:[0-9]{2})?$/.test(digits)) {
    return null;
  }
  const n = Number(digits);
  return digits.length === 4
    ? [Math.floor(n / 1000), Math.floor(n / 100) % 10, n % 100]
    : [Math.floor(n / 10000), Math.floor(n / 100) % 100, n % 100];
}

/** Major, minor and patch of a version as a person writes it. */
export function parseVersion(version: string): Version {
  if (!VERSION.test(version.trim())) {
    throw new FormatError(`${pythonRepr(version)} is not a TensorRT version; write it like '10.16.1'.`);
  }
  const [major, minor, patch = 0] = version.trim().split('.').map(Number);
  return [major, minor, patch];
}

/** The number that stands for a version in a header: 8.6.1 is 8601, 10.16.1 is 101601. */
export const versionNumber = ([major, minor, patch]: Version): number =>
  major < 10 ? major * 1000 + minor * 100 + patch : major * 10000 + minor * 100 + patch;

const DIGIT = '\\p{Nd}';
const WORD = '[\\p{L}\\p{N}_]';

const SYNTHETIC: [RegExp, string][] = [
  [
    new RegExp(`^\\(Unnamed Layer\\* ${DIGIT}+\\) \\[Constant\\]_output(?:_${DIGIT}+)?$`, 'u'),
    'a constant that the ONNX parser added as a layer (TensorRT 7 and 8)'
  ],
  [
    new RegExp(`^\\(Unnamed Layer\\* ${DIGIT}+\\) \\[Shuffle\\]_output(?:_${DIGIT}+)?$`, 'u'),
    'a reshape or transpose that the ONNX parser added (TensorRT 7 and 8)'
  ],
  [
    new RegExp(`^\\(Unnamed Layer\\* ${DIGIT}+\\) \\[[^\\]]+\\]_output(?:_${DIGIT}+)?$`, 'u'),
    'the output of a layer that has no name in the model (TensorRT 7 and 8)'
  ],
  [
    new RegExp(`^\\(Unnamed ITensor\\* ${DIGIT}+\\)$`, 'u'),
    'a tensor that has no name in the model (TensorRT 7 and 8)'
  ],
  [
    new RegExp(`^ONNXTRT_Broadcast(?:_${DIGIT}+)?_output$`, 'u'),
    'a reshape that the ONNX parser added so that shapes broadcast (TensorRT 10)'
  ],
  [
    new RegExp(`^ONNXTRT_ShapeShuffle(?:_${DIGIT}+)?_output$`, 'u'),
    'a reshape of a shape tensor that the ONNX parser added (TensorRT 10)'
  ],
  [new RegExp(`^ONNXTRT_${WORD}+_output$`, 'u'), 'the output of a layer that the ONNX parser added (TensorRT 10)'],
  [
    new RegExp(`^tmp_refittable_weight(?:_${DIGIT}+)?_output$`, 'u'),
    'a weight that the ONNX parser passed on as a constant layer (TensorRT 10)'
  ]
];

/** How they all begin: of a million names next to none does. */
const MAYBE_SYNTHETIC = /^(?:\(Unnamed |ONNXTRT_|tmp_refittable_)/;

/** What a name is that TensorRT made up, or "" for a name of no known pattern. */
export function syntheticLabel(name: string): string {
  if (!MAYBE_SYNTHETIC.test(name)) {
    return '';
  }
  return SYNTHETIC.find(([pattern]) => pattern.test(name))?.[1] ?? '';
}
