// Looks again and again, ever more slowly, and not for ever.

export const FIRST_MS = 2_000;
export const SLOWER = 1.5;
export const SLOWEST_MS = 60_000;
export const END_MS = 1_800_000;

// Calls `look` until it gives false, until `stop` of what is given back is called, or until the time is over; then `onEnd` is
// called. What `look` fails with is no end: the next look may go well.
export function watch(look, onEnd) {
  let timer = null;
  let stopped = false;
  let wait = FIRST_MS;
  let spent = 0;
  const next = () => {
    if (stopped) return;
    if (spent >= END_MS) {
      stopped = true;
      onEnd();
      return;
    }
    timer = setTimeout(async () => {
      spent += wait;
      wait = Math.min(wait * SLOWER, SLOWEST_MS);
      const on = await look().catch(() => true);
      if (!on) stopped = true;
      next();
    }, wait);
  };
  next();
  return {
    get running() { return !stopped; },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
