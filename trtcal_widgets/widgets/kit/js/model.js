// A panel and its model: state comes down through traits.

import { afterPress } from "./press.js";

/**
 * Hear of each change of the traits: `read` is told of it at once, for none to be lost where it builds on those before;
 * `update` draws. Returns the clean-up that anywidget calls.
 */
export function followEach(model, traits, read, update) {
  const names = traits.map((name) => `change:${name}`);
  let gone = false;
  const draw = () => { if (!gone) update(); };
  const heard = () => {
    read();
    afterPress(draw);
  };
  for (const name of names) model.on(name, heard);
  return () => {
    gone = true;
    for (const name of names) model.off(name, heard);
  };
}

/** Draw once, then again at each change of the traits; returns the clean-up. */
export function follow(model, traits, update) {
  const stop = followEach(model, traits, () => {}, update);
  update();
  return stop;
}
