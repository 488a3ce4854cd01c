/** Marks and axes of the picture of ranges. */

const FAR = 6;

export type Shape = 'circle' | 'diamond' | 'up' | 'down';

export function mark(context: CanvasRenderingContext2D, x: number, y: number, r: number, shape: Shape): void {
  context.beginPath();
  if (shape === 'circle') {
    context.arc(x, y, r, 0, 2 * Math.PI);
  } else if (shape === 'diamond') {
    const d = 1.3 * r;
    context.moveTo(x, y - d);
    context.lineTo(x + d, y);
    context.lineTo(x, y + d);
    context.lineTo(x - d, y);
  } else {
    const s = shape === 'up' ? 1 : -1;
    context.moveTo(x, y - s * r);
    context.lineTo(x + r, y + s * r);
    context.lineTo(x - r, y + s * r);
  }
  context.fill();
}

/** Round numbers of rows within a range, counted from 1 as people do. */
export function roundSteps(first: number, last: number, most: number): number[] {
  const rough = (last - first + 1) / most;
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  const step = [1, 2, 5, 10].map(n => n * power).find(n => n >= rough) ?? 1;
  const found: number[] = [];
  for (let place = Math.ceil((first + 1) / step) * step; place <= last + 1; place += step) {
    found.push(place - 1);
  }
  if (first === 0 && step > 1 && found[0] > step / 2) {
    found.unshift(0);
  }
  return found;
}

/** Ends of the axis in powers of ten: constants of 1e38 occur in real caches and are drawn at its edge. */
export function decades(values: number[]): [number, number] {
  const logs = values
    .filter(value => value > 0 && Number.isFinite(value))
    .map(Math.log10)
    .sort((a, b) => a - b);
  if (!logs.length) {
    return [-1, 1];
  }
  const middle = logs[Math.floor(logs.length / 2)];
  const low = Math.max(logs[0], middle - FAR);
  const high = Math.min(logs[logs.length - 1], middle + FAR);
  const margin = Math.max(0.06 * (high - low), 0.12);
  return [low - margin, high + margin];
}
