/** What is replaced between the press and the release of the mouse is not clicked: who replaces things waits for it. */

// A menu of the browser, or a window that comes in front, may keep the release: the next move tells that it was.
const ENDS = ['pointerup', 'pointercancel', 'pointermove', 'contextmenu'];

let pressed = false;
let timer = 0;
let waiting: (() => void)[] = [];

const release = (): void => {
  ENDS.forEach(name => window.removeEventListener(name, later, true));
  pressed = false;
  const go = waiting;
  waiting = [];
  go.forEach(resolve => resolve());
};

/** The click comes after the release. */
const later = (event: Event): void => {
  if (event.type !== 'pointermove' || !(event as PointerEvent).buttons) {
    clearTimeout(timer);
    timer = window.setTimeout(release);
  }
};

const press = (event: PointerEvent): void => {
  if (event.button === 0 && (event.target as Element | null)?.closest?.('.trtcal-viewer')) {
    clearTimeout(timer);
    pressed = true;
    ENDS.forEach(name => window.addEventListener(name, later, true));
  }
};

window.addEventListener('pointerdown', press, true);

/** Resolves when no mouse is down in a viewer. */
export async function released(): Promise<void> {
  while (pressed) {
    await new Promise<void>(resolve => waiting.push(resolve));
  }
}
