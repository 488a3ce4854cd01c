/** Whether a TensorRT takes a calibration cache as it is, instead of calibrating again. */

import { parseVersion, versionNumber, type CacheHeader } from './header';
import type { ScaleFile } from './reading';
import { pythonRepr } from './text';

export interface HeaderFit {
  verdict: 'reuse' | 'recalibrate' | 'unsupported';
  /** The reason, what is unverified about it, and what to do. */
  message: string;
}

/** Releases before this major version write and take four digits (8601), later ones six (101601). */
export const FOUR_DIGITS_BELOW = 10;

/** Whether TensorRT `version` would take this cache with a calibrator, as far as is known. */
export function headerFits(file: ScaleFile, version: string, algorithm: string): HeaderFit {
  const header = file.header!;
  const [major] = parseVersion(version);
  if (major >= 11) {
    return {
      verdict: 'unsupported',
      message:
        `TensorRT ${version} has no calibrators and reads no calibration cache: export an explicit ` +
        'Q/DQ ONNX model from these scales instead.'
    };
  }
  return major < FOUR_DIGITS_BELOW
    ? fourDigits(header, file, version, algorithm)
    : sixDigits(header, version, algorithm);
}

/** What 8.6.0 was seen to do; other releases before 10 are taken to do the same. */
function fourDigits(header: CacheHeader, file: ScaleFile, version: string, algorithm: string): HeaderFit {
  const reasons: string[] = [];
  let mend = `\`trtcal convert --to cache --trt-version ${version}\` (in Python: cache.with_header(version=${pythonRepr(version)}))`;
  if (!header.legacy && (!header.version || header.version[0] >= FOUR_DIGITS_BELOW)) {
    reasons.push(digits(header));
  }
  if (header.legacy && !header.text.startsWith('0 ')) {
    reasons.push('it is a legacy table of an older form, with which nothing was run');
  }
  if (header.algorithm !== algorithm) {
    reasons.push(`it was made with ${header.algorithm} and is to be read with ${algorithm}`);
  }
  const kinds = new Set(file.oddities.map(({ kind }) => kind));
  if (kinds.has('bom')) {
    reasons.push('it starts with a byte order mark');
    mend = 'save it as UTF-8 without one';
  }
  if (kinds.has('no-rows')) {
    reasons.push('it has no rows');
    mend = 'calibrate anew';
  }
  if (reasons.length) {
    return {
      verdict: 'recalibrate',
      message:
        `TensorRT ${version} would ignore this file without a word and calibrate again: ${reasons.join('; ')}. ` +
        `To have its scales used all the same: ${mend}.`
    };
  }
  const what = header.legacy ? 'a legacy table' : `a version of four digits (${versionNumber(header.version!)})`;
  return {
    verdict: 'reuse',
    message:
      `TensorRT ${version} takes it: ${what} and the calibrator's own algorithm (${algorithm}). That is what 8.6.0 ` +
      'was seen to do.'
  };
}

function digits(header: CacheHeader): string {
  return header.version
    ? `its version has six digits (${versionNumber(header.version)}, TensorRT ${header.version.join('.')})`
    : `its header ${pythonRepr(header.text)} has no version of four digits, such as 8601`;
}

/** What is expected of TensorRT 10, which was not run. */
function sixDigits(header: CacheHeader, version: string, algorithm: string): HeaderFit {
  const wanted = parseVersion(version);
  const reasons: string[] = [];
  if (!header.version) {
    reasons.push(`the header ${pythonRepr(header.text)} names no TensorRT version that is known`);
  } else if (header.version.join('.') !== wanted.join('.')) {
    reasons.push(`it was written by TensorRT ${header.version.join('.')} and is to be read by ${wanted.join('.')}`);
  }
  if (header.algorithm !== algorithm) {
    reasons.push(`it was made with ${header.algorithm} and is to be read with ${algorithm}`);
  }
  if (!reasons.length) {
    return {
      verdict: 'reuse',
      message: `Version and calibrator are those of TensorRT ${version} with ${algorithm}.`
    };
  }
  return {
    verdict: 'recalibrate',
    message:
      `TensorRT will probably calibrate again: ${reasons.join(' and ')}. How strict each release is ` +
      'about this is unverified; users report that a cache is accepted once its header line is ' +
      'changed, which keeps the scales of the other version or method.'
  };
}
