// A panel and its model: state comes down through traits.

import { afterPress } from "./press.js";

/** As `follow`, for a trait that says what has changed: `read` is told of each change at once, for none of them to be lost. */
export function followEach(model, trait, read, update) {
  const name = `change:${trait}`;
  let gone = false;
  const draw = () => { if (!gone) update(); };
  const heard = () => {
    read(model.get(trait));
    afterPress(draw);
  };
  model.on(name, heard);
  return () => {
    gone = true;
    model.off(name, heard);
  };
}

/** Draw once, then again at each change of the traits; returns the clean-up that anywidget calls. */
export function follow(model, traits, update) {
  const names = traits.map((name) => `change:${name}`);
  let gone = false;
  const draw = () => { if (!gone) update(); };
  const heard = () => afterPress(draw);
  for (const name of names) model.on(name, heard);
  update();
  return () => {
    gone = true;
    for (const name of names) model.off(name, heard);
  };
}
