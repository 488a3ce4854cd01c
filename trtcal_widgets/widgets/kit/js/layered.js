// Where boxes and edges of a small graph stand: columns from left to right, edges around the boxes. The work is dagre's.
/*!
 * This file is bundled with @dagrejs/dagre and @dagrejs/graphlib.
 * Copyright (c) 2012-2014 Chris Pettitt
 *
 * Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
 * documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
 * rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
 * persons to whom the Software is furnished to do so, subject to the following conditions:
 *
 * The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
 * Software.
 *
 * THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
 * WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
 * COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
 * OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
 */

import { Graph, layout } from "@dagrejs/dagre";

export const BOX_HEIGHT = 33;
const GAP_Y = 6;
const EDGE_GAP = 8;
const GAP_X = { least: 26, most: 46 };
const BOX = { least: 120, most: 190 };
const MARGIN = { x: 12, y: 4 };

/** Run dagre; returns the ranks' places, and nodes and edges with theirs. */
function placed(count, edges, width, gap) {
  const graph = new Graph();
  graph.setGraph({ rankdir: "LR", nodesep: GAP_Y, edgesep: EDGE_GAP, ranksep: gap, marginx: MARGIN.x, marginy: MARGIN.y, ranker: "network-simplex" });
  graph.setDefaultEdgeLabel(() => ({}));
  for (let i = 0; i < count; i += 1) graph.setNode(String(i), { width, height: BOX_HEIGHT });
  for (const [from, to] of edges) graph.setEdge(String(from), String(to));
  layout(graph);
  const nodes = Array.from({ length: count }, (_, i) => graph.node(String(i)));
  const columns = [...new Set(nodes.map(({ x }) => Math.round(x)))].sort((a, b) => a - b);
  return { graph, nodes, columns, size: graph.graph() };
}

/** Whether most boxes that share a column stand in the other order than they are numbered. */
function upsideDown(nodes) {
  let wrong = 0;
  nodes.forEach((a, i) => nodes.slice(i + 1).forEach((b) => { if (Math.abs(a.x - b.x) < 1) wrong += Math.sign(a.y - b.y); }));
  return wrong > 0;
}

function turnOver({ graph, nodes, size }, edges) {
  const turn = (point) => { point.y = size.height - point.y; };
  nodes.forEach(turn);
  // dagre may give one point to two lists.
  new Set(edges.flatMap(([from, to]) => graph.edge(String(from), String(to)).points)).forEach(turn);
}

/** A path from box to box: level where it passes a column, so that it touches none of its boxes. */
function pathOf(points, columns, width) {
  const [start, end] = [points[0], points.at(-1)];
  let at = start;
  let path = `M${at.x} ${at.y}`;
  const curve = (to) => {
    const middle = (at.x + to.x) / 2;
    path += `C${middle} ${at.y} ${middle} ${to.y} ${to.x} ${to.y}`;
    at = to;
  };
  for (const { x, y } of points.slice(1, -1)) {
    if (!columns.some((column) => Math.abs(column - x) < 1.5)) continue;
    curve({ x: x - width / 2, y });
    at = { x: x + width / 2, y };
    path += `H${at.x}`;
  }
  curve(end);
  return path;
}

/**
 * Lay out a graph in a width: `count` boxes and `edges` as pairs of their numbers. Returns the boxes (x, y of the corner,
 * column), paths of the edges, and the size of all; it is wider than asked where boxes would be too narrow to read.
 */
export function layered(count, edges, room) {
  const columns = placed(count, edges, BOX.most, GAP_X.most).columns.length;
  const spread = room - 2 * MARGIN.x;
  const gap = Math.max(GAP_X.least, Math.min(GAP_X.most, spread / columns / 5));
  const width = Math.floor(Math.max(BOX.least, Math.min(BOX.most, (spread - gap * (columns - 1)) / columns)));
  const found = placed(count, edges, width, gap);
  if (upsideDown(found.nodes)) turnOver(found, edges);
  const boxes = found.nodes.map(({ x, y }) => ({ x: x - width / 2, y: y - BOX_HEIGHT / 2, column: found.columns.indexOf(Math.round(x)) }));
  const paths = edges.map(([from, to]) => {
    const inner = found.graph.edge(String(from), String(to)).points.slice(1, -1);
    const [a, b] = [found.nodes[from], found.nodes[to]];
    return pathOf([{ x: a.x + width / 2, y: a.y }, ...inner, { x: b.x - width / 2, y: b.y }], found.columns, width);
  });
  return { boxes, paths, boxWidth: width, width: found.size.width, height: found.size.height };
}

/** The box that an arrow key leads to from another one: along an edge, or in its column; the nearest, -1 for none. */
export function neighbourOf(key, from, edges, boxes) {
  const here = boxes[from];
  const far = (i) => Math.abs(boxes[i].y - here.y);
  const below = { ArrowUp: -1, ArrowDown: 1 }[key];
  let candidates = [];
  if (key === "ArrowLeft") candidates = edges.filter(([, to]) => to === from).map(([before]) => before);
  if (key === "ArrowRight") candidates = edges.filter(([before]) => before === from).map(([, to]) => to);
  if (below) boxes.forEach((box, i) => { if (box.column === here.column && Math.sign(box.y - here.y) === below) candidates.push(i); });
  return candidates.reduce((best, i) => (best < 0 || far(i) < far(best) ? i : best), -1);
}
