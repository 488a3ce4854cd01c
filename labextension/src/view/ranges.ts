/** ±amax of every row on a logarithmic axis, in the order of the file. Drag to look closer, double click for all. */

import { decades, mark, roundSteps, type Shape } from './axis';
import { h } from './dom';
import { countOf, significant } from '../words';
import type { Picture } from './panel';

export interface Series {
  label: string;
  /** NaN where the file has no such row, or where it says NaN. */
  values: ArrayLike<number>;
  /** Whether the file has the row: a NaN of such a row is drawn at the upper edge. */
  present?: ArrayLike<number>;
  shape: 'circle' | 'diamond';
  /** Custom property of the colour. */
  color: string;
}

export interface RangesSpec {
  series: Series[];
  size: number;
  what: string;
  xLabel: string;
  /** Name and numbers of a row, as text. */
  hover: (row: number, series: number) => string[];
  onPick: (row: number) => void;
  /** Hands over a function to call when the theme changed; returns one that ends that. */
  onTheme: (redraw: () => void) => () => void;
}

const LEFT = 62;
const RIGHT = 14;
const TOP = 26;
const BOTTOM = 34;
const NEAR = 10;
const MANY = 2000;

export class RangesPicture implements Picture {
  readonly node: HTMLElement;
  private readonly canvas: HTMLCanvasElement;
  /** The ring around the chosen row, over the picture: it moves without drawing every point again. */
  private readonly ring: HTMLCanvasElement;
  private readonly tip: HTMLElement;
  private readonly brush: HTMLElement;
  private readonly resize: ResizeObserver;
  private readonly unfollow: () => void;
  private readonly low: number;
  private readonly high: number;
  private readonly anyBeyond: boolean;
  private window: [number, number];
  private selected = -1;
  private dragged: number | null = null;
  private frame = 0;
  private stale = true;

  constructor(private readonly spec: RangesSpec) {
    this.canvas = h('canvas', { class: 'trtcal-canvas', 'aria-hidden': 'true' });
    this.ring = h('canvas', { class: 'trtcal-canvas', 'aria-hidden': 'true' });
    this.tip = h('div', { class: 'trtcal-tip', role: 'presentation' });
    this.brush = h('div', { class: 'trtcal-brush', role: 'presentation' });
    this.tip.hidden = this.brush.hidden = true;
    this.node = h(
      'div',
      { class: 'trtcal-ranges', role: 'img', 'data-testid': 'trtcal-ranges', title: 'Drag to look closer, double click for all' },
      this.canvas,
      this.ring,
      this.brush,
      this.tip
    );
    [this.low, this.high] = decades(spec.series.flatMap(({ values }) => Array.from(values)));
    this.anyBeyond = spec.series.some(({ values, present }) =>
      Array.from(values).some((value, row) => (Number.isNaN(value) ? Boolean(present?.[row]) : this.isBeyond(value)))
    );
    this.window = this.whole();
    this.node.setAttribute('aria-label', this.description());
    this.listen();
    this.resize = new ResizeObserver(() => this.soon());
    this.resize.observe(this.node);
    this.unfollow = spec.onTheme(() => this.soon());
  }

  dispose(): void {
    cancelAnimationFrame(this.frame);
    this.resize.disconnect();
    this.unfollow();
  }

  get near(): [number, number] | null {
    const whole = this.whole();
    return this.window.every((edge, i) => edge === whole[i]) ? null : this.window;
  }

  /** Of a file that has fewer rows now, what it has of these is shown. */
  set near(rows: [number, number] | null) {
    const [first, last] = this.whole();
    const [a, b] = rows ? [Math.max(rows[0], first), Math.min(rows[1], last)] : [first, last];
    this.window = b - a >= 1 ? [a, b] : [first, last];
    this.soon();
  }

  select(row: number): void {
    this.selected = row;
    const [first, last] = this.window;
    if (row >= 0 && (row < first || row > last)) {
      const half = (last - first) / 2;
      this.window = [row - half, row + half];
      this.stale = true;
    }
    this.schedule();
  }

  private whole(): [number, number] {
    const margin = Math.max(0.5, this.spec.size * 0.01);
    return [-margin, this.spec.size - 1 + margin];
  }

  private description(): string {
    return `${this.spec.what} of ${countOf(this.spec.size, 'row')}, from ${significant(10 ** this.low)} to ${significant(10 ** this.high)}`;
  }

  private soon(): void {
    this.stale = true;
    this.schedule();
  }

  /** Many rows come one after the other when a key is held: draw once a frame. */
  private schedule(): void {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }

  private get width(): number {
    return Math.max(1, this.node.clientWidth - LEFT - RIGHT);
  }

  private get height(): number {
    return Math.max(1, this.node.clientHeight - TOP - BOTTOM);
  }

  private x(row: number): number {
    const [first, last] = this.window;
    return LEFT + ((row - first) / (last - first)) * this.width;
  }

  private y(level: number): number {
    return TOP + (1 - (level - this.low) / (this.high - this.low)) * this.height;
  }

  /** Whether a value is not where it would be on the axis, but at its edge. */
  private isBeyond(value: number): boolean {
    return !(value > 0) || Math.log10(value) < this.low || Math.log10(value) > this.high;
  }

  /** Where a row is drawn: what has no number at the upper edge, 0 and less at the lower one; null where it is not. */
  private level({ values, present }: Series, row: number): number | null {
    const value = values[row];
    if (value === undefined || Number.isNaN(value)) {
      return present?.[row] ? this.high : null;
    }
    return Math.min(Math.max(Math.log10(Math.max(value, 0)), this.low), this.high);
  }

  private draw(): void {
    if (!this.node.clientWidth || !this.node.clientHeight) {
      return;
    }
    const style = getComputedStyle(this.node);
    const color = (name: string): string => style.getPropertyValue(name).trim();
    if (this.stale) {
      this.stale = false;
      const context = this.blank(this.canvas);
      context.font = `11px ${color('--jp-ui-font-family')}`;
      this.drawAxes(context, color);
      context.save();
      this.clip(context);
      this.spec.series.forEach(series => this.drawSeries(context, series, color));
      context.restore();
      this.drawLegend(context, color);
    }
    const context = this.blank(this.ring);
    this.clip(context);
    this.drawSelected(context, color);
  }

  /** Empty a canvas, in the size of the panel and the resolution of the screen. */
  private blank(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = this.node.clientWidth * ratio;
    canvas.height = this.node.clientHeight * ratio;
    const context = canvas.getContext('2d')!;
    context.scale(ratio, ratio);
    return context;
  }

  private clip(context: CanvasRenderingContext2D): void {
    context.beginPath();
    context.rect(LEFT - 4, TOP - 8, this.width + 8, this.height + 16);
    context.clip();
  }

  private drawAxes(context: CanvasRenderingContext2D, color: (name: string) => string): void {
    context.textBaseline = 'middle';
    context.textAlign = 'right';
    const step = this.high - this.low > 8 ? 2 : 1;
    const ticks: number[] = [];
    for (let power = Math.ceil(this.low); power <= this.high; power += 1) {
      if (power % step === 0) {
        ticks.push(power);
      }
    }
    const fine = ticks.length < 2 ? [2, 5].flatMap(f => [Math.floor(this.low), Math.ceil(this.low)].map(p => p + Math.log10(f))) : [];
    for (const power of [...ticks, ...fine.filter(p => p >= this.low && p <= this.high)]) {
      const y = Math.round(this.y(power)) + 0.5;
      context.strokeStyle = color('--jp-border-color3');
      context.beginPath();
      context.moveTo(LEFT, y);
      context.lineTo(LEFT + this.width, y);
      context.stroke();
      context.fillStyle = color('--jp-ui-font-color2');
      context.fillText(significant(10 ** power, 1), LEFT - 8, y);
    }
    context.textAlign = 'center';
    context.textBaseline = 'top';
    const [first, last] = [Math.max(0, Math.ceil(this.window[0])), Math.min(this.spec.size - 1, Math.floor(this.window[1]))];
    for (const row of roundSteps(first, last, Math.max(2, Math.floor(this.width / 110)))) {
      context.fillText(String(row + 1), this.x(row), TOP + this.height + 6);
    }
    context.fillStyle = color('--jp-ui-font-color2');
    context.fillText(this.spec.xLabel, LEFT + this.width / 2, TOP + this.height + 20);
    context.save();
    context.translate(10, TOP + this.height / 2);
    context.rotate(-Math.PI / 2);
    context.fillText(this.spec.what, 0, -5);
    context.restore();
  }

  private drawSeries(context: CanvasRenderingContext2D, series: Series, color: (name: string) => string): void {
    const [first, last] = [Math.max(0, Math.floor(this.window[0])), Math.min(this.spec.size - 1, Math.ceil(this.window[1]))];
    const small = last - first > MANY;
    const usual = color(series.color);
    const odd = color('--trtcal-odd');
    for (let row = first; row <= last; row += 1) {
      const level = this.level(series, row);
      if (level === null) {
        continue;
      }
      const beyond = this.isBeyond(series.values[row]);
      context.fillStyle = beyond ? odd : usual;
      if (small && !beyond) {
        context.fillRect(this.x(row) - 1.4, this.y(level) - 1.4, 2.8, 2.8); // a hundred thousand circles take their time
      } else {
        mark(context, this.x(row), this.y(level), beyond ? 4.5 : 2.6, beyond ? (level <= this.low ? 'down' : 'up') : series.shape);
      }
    }
  }

  private drawSelected(context: CanvasRenderingContext2D, color: (name: string) => string): void {
    for (const series of this.spec.series) {
      const level = this.level(series, this.selected);
      if (level === null) {
        continue;
      }
      context.strokeStyle = color('--jp-ui-font-color1');
      context.lineWidth = 2;
      context.beginPath();
      context.arc(this.x(this.selected), this.y(level), 7, 0, 2 * Math.PI);
      context.stroke();
      context.lineWidth = 1;
    }
  }

  private drawLegend(context: CanvasRenderingContext2D, color: (name: string) => string): void {
    context.textAlign = 'left';
    context.textBaseline = 'middle';
    let x = LEFT;
    const add = (label: string, fill: string, shape: Shape): void => {
      context.fillStyle = fill;
      mark(context, x + 4, 11, 4, shape);
      context.fillStyle = color('--jp-ui-font-color1');
      context.fillText(label, x + 13, 11.5);
      x += context.measureText(label).width + 30;
    };
    this.spec.series.forEach(({ label, shape, color: name }) => add(label, color(name), shape));
    if (this.anyBeyond) {
      add('beyond the picture', color('--trtcal-odd'), 'up');
    }
  }

  /** Row and series of the point that is nearest to a place, if one is near. */
  private nearest(x: number, y: number): [number, number] | null {
    const [first, last] = this.window;
    const perRow = this.width / (last - first);
    const middle = first + (x - LEFT) / perRow;
    const reach = NEAR / perRow;
    let best: [number, number] | null = null;
    let distance = NEAR ** 2;
    for (let row = Math.max(0, Math.ceil(middle - reach)); row <= Math.min(this.spec.size - 1, middle + reach); row += 1) {
      this.spec.series.forEach((series, which) => {
        const level = this.level(series, row);
        const d = level === null ? Infinity : (this.x(row) - x) ** 2 + (this.y(level) - y) ** 2;
        if (d < distance) {
          distance = d;
          best = [row, which];
        }
      });
    }
    return best;
  }

  private listen(): void {
    const place = (event: PointerEvent | MouseEvent): [number, number] => {
      const box = this.node.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    this.node.addEventListener('pointerdown', event => {
      if (event.button === 0) {
        this.dragged = place(event)[0];
        this.node.setPointerCapture(event.pointerId);
      }
    });
    this.node.addEventListener('pointermove', event => {
      const [x, y] = place(event);
      if (this.dragged !== null && Math.abs(x - this.dragged) > 4) {
        this.showBrush(this.dragged, x);
        return;
      }
      this.showTip(x, y);
    });
    this.node.addEventListener('pointercancel', () => {
      this.dragged = null;
      this.brush.hidden = true;
    });
    this.node.addEventListener('pointerup', event => {
      if (event.button !== 0) {
        return;
      }
      const [x, y] = place(event);
      const from = this.dragged;
      this.dragged = null;
      this.brush.hidden = true;
      if (from !== null && Math.abs(x - from) > 4) {
        this.zoom(Math.min(from, x), Math.max(from, x));
        return;
      }
      const found = this.nearest(x, y);
      if (found) {
        this.spec.onPick(found[0]);
      }
    });
    this.node.addEventListener('pointerleave', () => {
      this.tip.hidden = true;
    });
    this.node.addEventListener('dblclick', () => {
      this.near = null;
    });
  }

  private zoom(from: number, to: number): void {
    const [first, last] = this.window;
    const row = (x: number): number => first + ((x - LEFT) / this.width) * (last - first);
    const [a, b] = [Math.max(row(from), this.whole()[0]), Math.min(row(to), this.whole()[1])];
    if (b - a >= 1) {
      this.near = [a, b];
    }
  }

  private showBrush(from: number, to: number): void {
    this.tip.hidden = true;
    this.brush.hidden = false;
    this.brush.style.left = `${Math.min(from, to)}px`;
    this.brush.style.width = `${Math.abs(to - from)}px`;
    this.brush.style.top = `${TOP}px`;
    this.brush.style.height = `${this.height}px`;
  }

  private showTip(x: number, y: number): void {
    const found = this.nearest(x, y);
    this.tip.hidden = !found;
    if (!found) {
      return;
    }
    this.tip.replaceChildren(...this.spec.hover(...found).map(text => h('div', { text })));
    const left = Math.min(x + 12, this.node.clientWidth - this.tip.offsetWidth - 4);
    this.tip.style.left = `${Math.max(4, left)}px`;
    this.tip.style.top = `${y > this.node.clientHeight / 2 ? y - this.tip.offsetHeight - 8 : y + 12}px`;
  }
}
