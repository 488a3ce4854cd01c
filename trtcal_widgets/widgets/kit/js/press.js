// What is replaced between the press and the release of the mouse is not clicked: while it is down, drawing waits.

// A menu of the browser, or a window that comes in front, may keep the release: the next move tells that it was.
const ENDS = ["pointerup", "pointercancel", "pointermove", "contextmenu", "blur"];
// Every element's loss of focus passes through the window on its way down; only its own is meant.
const listen = (change, callback) => ENDS.forEach((name) => window[change](name, callback, name !== "blur"));

/**
 * Call `changed(true)` when the mouse goes down in `node` on what `fits`, and `changed(false)` after the click that its
 * release makes. Returns the clean-up.
 */
export function watchPress(node, changed, fits = () => true) {
  let timer = 0;
  const release = () => {
    clearTimeout(timer);
    listen("removeEventListener", later);
    changed(false);
  };
  const later = ({ type, buttons }) => {
    if (type === "pointermove" && buttons) return;
    clearTimeout(timer);
    timer = setTimeout(release);
  };
  const onDown = (event) => {
    if (event.button !== 0 || !fits(event)) return;
    clearTimeout(timer); // a busy page hears of the second press before the timer of the first one ends
    listen("addEventListener", later);
    changed(true);
  };
  node.addEventListener("pointerdown", onDown, true);
  return () => {
    node.removeEventListener("pointerdown", onDown, true);
    release();
  };
}

// Not fields, sliders and scroll bars: who drags these wants to see what comes of it.
const CLICKED = "button, label, summary, input[type=checkbox], input[type=radio], [role=option], [role=row]";
const waiting = new Set();
let held = false;

watchPress(window, (pressed) => {
  held = pressed;
  if (held) return;
  const draws = [...waiting];
  waiting.clear();
  for (const draw of draws) {
    try {
      draw();
    } catch (error) {
      reportError(error); // the others are drawn all the same
    }
  }
}, ({ target }) => target.closest?.(CLICKED)?.closest(".trtcal-root"));

/** Call `draw` now, or once what is pressed on a screen has been clicked: several calls meanwhile are one. */
export function afterPress(draw) {
  if (held) waiting.add(draw);
  else draw();
}
