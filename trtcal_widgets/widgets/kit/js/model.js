// A panel and its model: state comes down through traits.

/** Draw once, then again at each change of the traits; returns the clean-up that anywidget calls. */
export function follow(model, traits, update) {
  const names = traits.map((name) => `change:${name}`);
  for (const name of names) model.on(name, update);
  update();
  return () => {
    for (const name of names) model.off(name, update);
  };
}
