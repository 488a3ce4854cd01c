// One mark per sample on one canvas: where each of them is, what the mouse is over, how it is drawn.

const TOP = 14; // room for the largest value, and for the mark of the chosen sample
const BOTTOM = 10; // room for the batches
const LEFT = 52;
const GAP = 1;
const WIDEST = 36;

/** Where marks stand: `order` are samples from left to right, `first` and `last` (not included) those in view. */
export function layoutOf({ order, first, last, width }) {
  const shown = Math.max(last - first, 1);
  const room = Math.max(width - LEFT - 2, 1);
  const step = Math.min(room / shown, WIDEST);
  return {
    step,
    columns: Math.min(Math.ceil(shown * step), shown),
    left: (place) => LEFT + (place - first) * step,
    /** Places that a pixel stands for: several where there are more samples than pixels. */
    placesAt(x) {
      const at = first + (x - LEFT) / step;
      if (at < first || at >= Math.min(last, order.length)) return null;
      if (step >= 1) return [Math.floor(at), Math.floor(at) + 1];
      return [Math.floor(at), Math.min(Math.max(Math.ceil(at + 1 / step), Math.floor(at) + 1), last)];
    },
  };
}

/** The sample of some places that sticks out most: the one that is drawn there. */
export function largestOf(order, values, [from, to]) {
  let best = order[from];
  for (let place = from; place < to; place += 1) {
    const sample = order[place];
    if (!(values[sample] <= values[best])) best = sample;
  }
  return best;
}

/** Draw everything. `marks`: order, values (float32), out and extreme (sets), starts (first sample of each batch). */
export function drawStrip(canvas, { marks, view, chosen, hovered, threshold, colors, texts, width, height }) {
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const { order, values, out, extreme, batchOf } = marks;
  if (!order.length) return;
  const layout = layoutOf({ order, ...view, width });
  let top = 0;
  for (let place = view.first; place < view.last; place += 1) {
    const value = values[order[place]];
    if (value > top) top = value;
  }
  const ceiling = Math.max(top, 0) || 1;
  const base = height - BOTTOM;
  const tall = base - TOP;
  const yOf = (value) => base - (value / ceiling) * tall;
  const right = layout.left(Math.min(view.last, order.length));

  context.fillStyle = colors.well;
  context.fillRect(LEFT, TOP, right - LEFT, tall);
  if (batchOf) drawBatches(context, { order, batchOf, view, layout, base, colors });
  const last = Math.min(view.last, order.length);
  const draw = (sample, x, wide) => {
    const value = values[sample];
    const gone = out.has(sample);
    const known = value >= 0;
    const high = known ? Math.max((value / ceiling) * tall, 1.5) : 3;
    context.fillStyle = gone ? colors.out : extreme.has(sample) ? colors.extreme : known ? colors.bar : colors.line;
    context.globalAlpha = gone ? 0.75 : 1;
    context.fillRect(x, base - high, wide, high);
    context.globalAlpha = 1;
    if (!gone && extreme.has(sample) && known) {
      context.beginPath();
      const middle = x + wide / 2;
      context.moveTo(middle - 3, base - high - 5);
      context.lineTo(middle + 3, base - high - 5);
      context.lineTo(middle, base - high - 1);
      context.fill();
    }
  };
  if (layout.step >= 1) {
    const gap = layout.step >= 4 ? GAP : 0;
    for (let place = view.first; place < last; place += 1) draw(order[place], layout.left(place), Math.max(layout.step - gap, 1));
  } else {
    for (let x = LEFT; x < right; x += 1) {
      const places = layout.placesAt(x);
      if (places) draw(largestOf(order, values, places), x, 1);
    }
  }
  // A cross below says without colour, and where many share a pixel, that one is left out.
  context.strokeStyle = colors.text;
  context.beginPath();
  for (const sample of out) {
    const place = marks.placeOf(sample);
    if (place < view.first || place >= last) continue;
    const middle = layout.left(place) + Math.max(layout.step, 1) / 2;
    context.moveTo(middle - 2.5, base + 4);
    context.lineTo(middle + 2.5, base + 9);
    context.moveTo(middle + 2.5, base + 4);
    context.lineTo(middle - 2.5, base + 9);
  }
  context.stroke();
  if (threshold > 0 && threshold <= ceiling) {
    context.strokeStyle = colors.threshold;
    context.setLineDash([5, 3]);
    context.beginPath();
    context.moveTo(LEFT, yOf(threshold));
    context.lineTo(right, yOf(threshold));
    context.stroke();
    context.setLineDash([]);
  }
  for (const [sample, color, wide] of [[hovered, colors.strong, 1], [chosen, colors.text, 2]]) {
    const place = sample >= 0 ? marks.placeOf(sample) : -1;
    if (place < view.first || place >= last) continue;
    const x = layout.left(place) + Math.max(layout.step, 1) / 2;
    context.strokeStyle = context.fillStyle = color;
    context.lineWidth = wide;
    if (layout.step >= 4) context.strokeRect(layout.left(place) - 0.5, TOP - 0.5, layout.step, tall + 1);
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x - 4.5, 2);
    context.lineTo(x + 4.5, 2);
    context.lineTo(x, 9);
    context.fill();
  }
  drawAxis(context, { ceiling, yOf, threshold, base, colors, texts });
}

function drawBatches(context, { order, batchOf, view, layout, base, colors }) {
  let from = view.first;
  const last = Math.min(view.last, order.length);
  for (let place = view.first + 1; place <= last; place += 1) {
    if (place < last && batchOf[order[place]] === batchOf[order[from]]) continue;
    context.fillStyle = batchOf[order[from]] % 2 ? colors.strong : colors.line;
    context.fillRect(layout.left(from), base + 1, Math.max(layout.left(place) - layout.left(from) - 1, 0.5), 2);
    from = place;
  }
}

function drawAxis(context, { ceiling, yOf, threshold, base, colors, texts }) {
  context.font = `11px ${colors.font}`;
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.fillStyle = colors.faint;
  context.fillText("0", LEFT - 6, base);
  context.fillText(texts.number(ceiling), LEFT - 6, TOP);
  if (threshold > 0 && threshold <= ceiling && yOf(threshold) - TOP > 12 && base - yOf(threshold) > 12) {
    context.fillStyle = colors.threshold;
    context.fillText(texts.threshold, LEFT - 6, yOf(threshold));
  }
}
