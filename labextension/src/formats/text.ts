/** Lines of a text file, and text as Python shows it: the messages are the Python package's, word for word. */

export class FormatError extends Error {}

/** A decimal number as C++ and Python both read it. */
const DECIMAL = /^(?:[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[-+]?[0-9]+)?|[-+]?(?:inf(?:inity)?|nan))$/i;

/** White space as `str.strip()` means it in Python (JavaScript's `\s` is another set). */
export const PYTHON_SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const SPACE = new RegExp(`[${PYTHON_SPACE}]`);

export interface TextLines {
  hasBom: boolean;
  /** Without "\n", with the "\r" of Windows; bytes that are not UTF-8 are lone surrogates U+DC80 to U+DCFF. */
  lines: string[];
  isUtf8: boolean;
}

export const isDecimal = (text: string): boolean => DECIMAL.test(text);

export function parseDecimal(text: string): number {
  const word = text.toLowerCase().replace(/^[-+]/, '');
  if (word === 'nan') {
    return NaN;
  }
  if (word === 'inf' || word === 'infinity') {
    return text.startsWith('-') ? -Infinity : Infinity;
  }
  return Number(text);
}

/** A text without what `goes` at its end. Regular expressions like /\s+$/ take the square of a long run of spaces. */
export function stripRight(text: string, goes: (character: string) => boolean): string {
  let end = text.length;
  while (end > 0 && goes(text[end - 1])) {
    end -= 1;
  }
  return text.slice(0, end);
}

/** A text without what `goes` at its beginning. */
export function stripLeft(text: string, goes: (character: string) => boolean): string {
  let start = 0;
  while (start < text.length && goes(text[start])) {
    start += 1;
  }
  return text.slice(start);
}

export const isBlank = (character: string): boolean => character === ' ' || character === '\t';

const isSpace = (character: string): boolean => SPACE.test(character);

export const strip = (text: string): string => stripRight(stripLeft(text, isSpace), isSpace);

/** Strip a line's "\r" and the spaces and tabs at its end. */
export const lineCore = (line: string): string => stripRight(line.endsWith('\r') ? line.slice(0, -1) : line, isBlank);

/** Split at the last separator, as `str.rpartition` does: all three are "" but the last where there is none. */
export function rpartition(text: string, separator: string): [string, string, string] {
  const at = text.lastIndexOf(separator);
  return at < 0 ? ['', '', text] : [text.slice(0, at), separator, text.slice(at + separator.length)];
}

export function startsWith(data: Uint8Array, ...bytes: number[]): boolean {
  return bytes.every((byte, i) => data[i] === byte);
}

/** Decode UTF-8; each byte that is not UTF-8 becomes a lone surrogate (Python's "surrogateescape"). */
export function decodeUtf8(data: Uint8Array): { text: string; isUtf8: boolean } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data), isUtf8: true };
  } catch {
    return { text: decodeEscaping(data), isUtf8: false };
  }
}

const CHUNK = 1 << 13;

/** Without TextDecoder, which tells by an exception that a byte is wrong: of a file of them there are millions. */
function decodeEscaping(data: Uint8Array): string {
  const parts: string[] = [];
  const units: number[] = [];
  for (let at = 0; at < data.length; ) {
    const size = sequenceAt(data, at);
    if (size === 0) {
      units.push(0xdc00 + data[at]);
      at += 1;
    } else {
      const code = codeAt(data, at, size);
      if (code < 0x10000) {
        units.push(code);
      } else {
        units.push(0xd7c0 + (code >> 10), 0xdc00 + (code & 0x3ff));
      }
      at += size;
    }
    if (units.length >= CHUNK) {
      parts.push(String.fromCharCode(...units.splice(0)));
    }
  }
  return parts.join('') + String.fromCharCode(...units);
}

/** How many bytes the character here has; 0 where it is not UTF-8. */
function sequenceAt(data: Uint8Array, at: number): number {
  const [first, second] = [data[at], data[at + 1]];
  if (first < 0x80) {
    return 1;
  }
  const size = first < 0xc2 || first > 0xf4 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  for (let i = 1; i < size; i += 1) {
    if ((data[at + i] & 0xc0) !== 0x80) {
      return 0;
    }
  }
  // Too long a form of a small number, half of a surrogate pair, beyond the last character.
  const wrong =
    (first === 0xe0 && second < 0xa0) || (first === 0xed && second > 0x9f) ||
    (first === 0xf0 && second < 0x90) || (first === 0xf4 && second > 0x8f);
  return wrong ? 0 : size;
}

function codeAt(data: Uint8Array, at: number, size: number): number {
  let code = size === 1 ? data[at] : data[at] & (0x7f >> size);
  for (let i = 1; i < size; i += 1) {
    code = (code << 6) | (data[at + i] & 0x3f);
  }
  return code;
}

/** Cut a text file into lines, or say why it is no text file. */
export function decodeLines(data: Uint8Array, source: string): TextLines {
  if (startsWith(data, 0xff, 0xfe) || startsWith(data, 0xfe, 0xff)) {
    throw new FormatError(
      `${source}: the file is UTF-16 text (Windows programs call it 'Unicode'). Save it again as UTF-8 or ANSI.`
    );
  }
  if (startsWith(data, 0x50, 0x4b, 3, 4)) {
    throw new FormatError(
      `${source}: this is a zip file, such as a saved session, not a calibration table. Read a session with ` +
        'CalibrationSession.load or `trtcal report`; its to_cache() makes the cache.'
    );
  }
  if (data.includes(0)) {
    throw new FormatError(
      `${source}: this is a binary file, not a calibration table in text. ` +
        'Check that it is not an ONNX model or a TensorRT engine.'
    );
  }
  const hasBom = startsWith(data, 0xef, 0xbb, 0xbf);
  const body = hasBom ? data.subarray(3) : data;
  if (body.every(isByteSpace)) {
    throw new FormatError(`${source}: the file is empty. Calibrate again, or check the path.`);
  }
  const { text, isUtf8 } = decodeUtf8(body);
  return { hasBom, lines: text.split('\n'), isUtf8 };
}

/** White space among bytes, as `bytes.strip()` means it. */
export const isByteSpace = (byte: number): boolean => byte === 0x20 || (byte >= 9 && byte <= 13);

/** Text from a file as it may stand in a message: on one line, printable, shortened, in quotes. */
export function quote(text: string, limit = 60): string {
  if (text.length > limit) {
    const characters = Array.from(text);
    if (characters.length > limit) {
      const half = Math.floor(limit / 2);
      text = `${characters.slice(0, half).join('')}…${characters.slice(-half).join('')}`;
    }
  }
  return pythonRepr(text);
}

const HIDDEN = /[\p{C}\p{Zl}\p{Zp}\p{Zs}]/u;
const NAMED: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** `repr()` of a text: also the way to write any text as a Python literal. */
export function pythonRepr(text: string): string {
  if (/^[ !#-&(-[\]-~]*$/.test(text)) {
    return `'${text}'`; // without quotes, backslashes and what is not ASCII, as nearly all are
  }
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  let shown = '';
  for (const character of text) {
    shown += character === mark ? `\\${mark}` : (NAMED[character] ?? escapeHidden(character));
  }
  return mark + shown + mark;
}

/** A name on one line, without control and invisible characters: these are written as escapes. */
export function printable(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) {
    return text;
  }
  let shown = '';
  for (const character of text) {
    shown += /[\p{C}\p{Zl}\p{Zp}]/u.test(character)
      ? (character === '\\' ? character : (NAMED[character] ?? escapeHidden(character)))
      : character;
  }
  return shown;
}

function escapeHidden(character: string): string {
  if (character === ' ' || !HIDDEN.test(character)) {
    return character;
  }
  const code = character.codePointAt(0)!;
  const hex = (digits: number): string => code.toString(16).padStart(digits, '0');
  return code < 0x100 ? `\\x${hex(2)}` : code < 0x10000 ? `\\u${hex(4)}` : `\\U${hex(8)}`;
}

/** `repr()` of a float. */
export function pythonFloat(value: number): string {
  if (!Number.isFinite(value)) {
    return Number.isNaN(value) ? 'nan' : value < 0 ? '-inf' : 'inf';
  }
  if (Object.is(value, -0)) {
    return '-0.0';
  }
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    const [mantissa, power] = value.toExponential().split('e');
    return `${mantissa}e${power[0]}${power.slice(1).padStart(2, '0')}`;
  }
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/** `format(value, 'g')` of a float. */
export function pythonGeneral(value: number): string {
  if (!Number.isFinite(value)) {
    return pythonFloat(value);
  }
  const [mantissa, power] = value.toExponential(5).split('e');
  const plain = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);
  const exponent = Number(power);
  return exponent < -4 || exponent > 5
    ? `${plain(mantissa)}e${power[0]}${power.slice(1).padStart(2, '0')}`
    : plain(value.toFixed(5 - exponent));
}
