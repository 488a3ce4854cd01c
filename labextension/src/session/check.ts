/** Refuses facts that no session has saved, as the package's reader does: whatever shows them trusts them. */

export type Facts = Record<string, any>;

const FAR = 2 ** 40;
const KINDS = ['input', 'activation', 'constant', 'weight'];

const isObject = (value: unknown): value is Facts => typeof value === 'object' && value !== null && !Array.isArray(value);

const isText = (value: unknown): value is string => typeof value === 'string';

const isWhole = (value: unknown): value is number => Number.isInteger(value);

const maybe = (fits: (value: unknown) => boolean) => (value: unknown): boolean => value === null || value === undefined || fits(value);

const listOf = (value: unknown, fits: (one: any) => boolean): boolean => Array.isArray(value) && value.every(fits);

const isPlace = (value: unknown): boolean => isWhole(value) && value >= 0 && value < FAR;

const isChoice = (choice: unknown): boolean =>
  isObject(choice) && (isText(choice.method) ? choice.amax === undefined : choice.method === undefined && isAmax(choice.amax));

const isAmax = (amax: unknown): boolean => typeof amax === 'number' && Math.fround(amax) > 0 && Math.fround(amax) < Infinity;

/** What is wrong, in words; "" for facts that may be trusted. */
export function damageOf(facts: Facts): string {
  const { plan, status, state } = facts;
  const fits =
    typeof facts.format_version === 'number' &&
    [facts.runner, facts.source].every(isText) &&
    ['tensorrt', 'two-pass'].includes(facts.range_mode) &&
    isObject(plan) &&
    maybe(isWhole)(plan.batch_size) &&
    isObject(status) &&
    [status.n_batches, status.n_samples, status.total_samples, status.dropped].every(maybe(isWhole)) &&
    isObject(state) &&
    isWhole(state.position) &&
    listOf(state.excluded, isPlace) &&
    listOf(state.samples_out ?? [], isPlace) &&
    isText(state.method) &&
    isObject(state.choices) &&
    Object.values(state.choices).every(isChoice) &&
    isText(state.selected) &&
    listOf(facts.samples ?? [], one => isObject(one) && isPlace(one.n)) &&
    listOf(facts.without ?? [], one => Array.isArray(one) && one.length === 2 && isPlace(one[0]) && listOf(one[1], isPlace));
  if (!fits) {
    return 'what it says about its batches and choices is damaged';
  }
  return isGraph(facts.graph) ? '' : 'the facts of its model are damaged';
}

function isGraph(graph: unknown): boolean {
  if (!isObject(graph) || ![graph.name, graph.sha256].every(isText) || !isWhole(graph.opset)) {
    return false;
  }
  const isNode = (node: unknown): boolean =>
    Array.isArray(node) && node.length === 5 && node.slice(0, 3).every(isText) && node.slice(3).every(names => listOf(names, isText));
  if (!listOf(graph.nodes, isNode)) {
    return false;
  }
  const isTensor = (tensor: unknown): boolean => {
    if (!Array.isArray(tensor) || tensor.length !== 7 || !tensor.slice(0, 3).every(isText)) {
      return false;
    }
    const [, kind, , shape, producer] = tensor;
    const isShape = shape === null || listOf(shape, size => size === null || isText(size) || isWhole(size));
    return KINDS.includes(kind) && isShape && isWhole(producer) && producer >= -1 && producer < graph.nodes.length;
  };
  const inner: unknown = graph.trt8 === undefined ? [] : isObject(graph.trt8) ? graph.trt8.inner : null;
  if (!listOf(graph.tensors, isTensor) || !listOf(inner, isText)) {
    return false;
  }
  const known = new Set(graph.tensors.map(([name]: [string]) => name));
  const isGroup = (group: unknown): boolean => listOf(group, name => known.has(name));
  return known.size === graph.tensors.length && listOf(graph.groups, isGroup);
}
