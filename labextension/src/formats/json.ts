/** JSON as Python's `json` reads it: NaN and Infinity are numbers, and an object remembers repeated keys. */

export class Pairs {
  constructor(readonly pairs: [string, Json][]) {}

  /** The last value of a key. */
  get(key: string): Json | undefined {
    return this.pairs.filter(([name]) => name === key).pop()?.[1];
  }
}

export type Json = null | boolean | number | string | Json[] | Pairs;

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y;
const PLAIN = /[^"\\\x00-\x1f]*/y;
const WORDS: [string, Json][] = [
  ['null', null],
  ['true', true],
  ['false', false],
  ['NaN', NaN],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity]
];
const ESCAPES: Record<string, string> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t'
};
const DEEPEST = 500;

export function parseJson(text: string): Json {
  const parser = new Parser(text);
  const value = parser.value(0);
  parser.space();
  if (parser.at < text.length) {
    parser.fail('there is more after its end');
  }
  return value;
}

class Parser {
  at = 0;

  constructor(private readonly text: string) {}

  fail(what: string): never {
    const before = this.text.slice(0, this.at).split('\n');
    throw new SyntaxError(`${what} (line ${before.length}, column ${before[before.length - 1].length + 1})`);
  }

  space(): void {
    while (' \t\n\r'.includes(this.text[this.at] || 'x')) {
      this.at += 1;
    }
  }

  value(depth: number): Json {
    if (depth > DEEPEST) {
      this.fail('it is nested too deeply');
    }
    this.space();
    const character = this.text[this.at];
    if (character === '{') {
      return this.object(depth);
    }
    if (character === '[') {
      return this.array(depth);
    }
    if (character === '"') {
      return this.string();
    }
    for (const [word, value] of WORDS) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    NUMBER.lastIndex = this.at;
    const match = NUMBER.exec(this.text);
    if (!match) {
      this.fail('a value is expected');
    }
    this.at += match[0].length;
    return Number(match[0]);
  }

  private object(depth: number): Pairs {
    const pairs: [string, Json][] = [];
    this.list('}', () => {
      if (this.text[this.at] !== '"') {
        this.fail('a name in double quotes is expected');
      }
      const key = this.string();
      this.space();
      this.take(':');
      pairs.push([key, this.value(depth + 1)]);
    });
    return new Pairs(pairs);
  }

  private array(depth: number): Json[] {
    const values: Json[] = [];
    this.list(']', () => values.push(this.value(depth + 1)));
    return values;
  }

  private list(end: string, item: () => void): void {
    this.at += 1;
    this.space();
    if (this.text[this.at] === end) {
      this.at += 1;
      return;
    }
    for (;;) {
      this.space();
      item();
      this.space();
      if (this.text[this.at] === end) {
        this.at += 1;
        return;
      }
      this.take(',');
    }
  }

  private take(character: string): void {
    if (this.text[this.at] !== character) {
      this.fail(`'${character}' is expected`);
    }
    this.at += 1;
  }

  private string(): string {
    let found = '';
    this.at += 1;
    for (;;) {
      PLAIN.lastIndex = this.at;
      const plain = PLAIN.exec(this.text)![0];
      found += plain;
      this.at += plain.length;
      const character = this.text[this.at];
      if (character === '"') {
        this.at += 1;
        return found;
      }
      if (character !== '\\') {
        this.fail(character === undefined ? 'a text has no end' : 'a text holds a control character');
      }
      const escape = this.text[this.at + 1];
      if (escape === 'u') {
        const hex = this.text.slice(this.at + 2, this.at + 6);
        if (!/^[0-9a-fA-F]{4}$/.test(hex)) {
          this.fail('four hex digits are expected after \\u');
        }
        found += String.fromCharCode(parseInt(hex, 16));
        this.at += 6;
      } else if (escape !== undefined && escape in ESCAPES) {
        found += ESCAPES[escape];
        this.at += 2;
      } else {
        this.fail('there is no such escape');
      }
    }
  }
}
