/** Numbers and names as people read them; nothing here makes markup. */

const MINUS = '\u2212';
const EN = new Intl.NumberFormat('en-US');

/** A number with this many significant digits: "0.996", "1230", "3.1e-05", "inf". */
export function significant(value: number, digits = 3): string {
  if (!Number.isFinite(value)) {
    return Number.isNaN(value) ? 'nan' : value < 0 ? '-inf' : 'inf';
  }
  if (value === 0) {
    return '0';
  }
  const [mantissa, power] = toEven(n => value.toExponential(n), digits - 1).split('e');
  const exponent = Number(power);
  if (exponent < -4 || exponent >= Math.max(digits + 2, 5)) {
    return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  return toEven(n => value.toFixed(n), Math.max(digits - 1 - exponent, 0));
}

/** More digits than tell apart a float that lies in the middle of two short numbers from its neighbours. */
const ENOUGH = 30;

/** A number with so many decimals. What lies in the middle of two goes to the even one, as in Python, not up. */
function toEven(write: (decimals: number) => string, decimals: number): string {
  const [all, power] = write(decimals + ENOUGH).split('e');
  if (!all.endsWith(`5${'0'.repeat(ENOUGH - 1)}`)) {
    return write(decimals);
  }
  const cut = all.slice(0, -ENOUGH).replace(/\.$/, '');
  return /[02468]$/.test(cut) ? cut + (power === undefined ? '' : `e${power}`) : write(decimals);
}

/** The same, set for a screen: a real minus sign, a dash for NaN, ∞ for inf. */
export function typeset(value: number, digits = 3): string {
  if (Number.isNaN(value)) {
    return '\u2013';
  }
  if (!Number.isFinite(value)) {
    return value > 0 ? '∞' : `${MINUS}∞`;
  }
  const [mantissa, power] = significant(value, digits).split('e');
  return (power === undefined ? mantissa : `${mantissa}e${Number(power)}`).replace(/-/g, MINUS);
}

export const count = (n: number): string => EN.format(n);

export const countOf = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;

export function fileSize(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toPrecision(3)} ${units[unit]}`;
}

const LONGEST = 400;

/** A name as it stands in a line: without its middle where it is very long, which browsers take minutes to lay out. */
export function shortened(name: string): string {
  if (name.length <= LONGEST) {
    return name;
  }
  const [head, tail] = [name.slice(0, LONGEST / 2), name.slice(-LONGEST / 2)];
  return `${head.replace(/[\ud800-\udbff]$/, '')}…${tail.replace(/^[\udc00-\udfff]/, '')}`;
}
