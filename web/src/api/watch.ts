// Asking again and again, one question at a time, only while the page is seen.

export interface Watch {
  /** Begins; returns what ends it. */
  readonly start: () => () => void;
  /** Asks at once, and then again at its pace. */
  readonly now: () => void;
}

export function watch(look: (signal: AbortSignal) => Promise<void>, everyMs: number): Watch {
  let ending: AbortController | null = null;
  let watchers = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running = false;
  let again = false;

  async function turn(): Promise<void> {
    clearTimeout(timer);
    if (ending === null) return;
    if (running) {
      again = true;
      return;
    }
    running = true;
    const { signal } = ending;
    if (!document.hidden) await look(signal);
    running = false;
    if (again) {
      again = false;
      void turn();
    } else if (ending !== null) timer = setTimeout(turn, everyMs);
  }

  const seen = () => !document.hidden && void turn();
  return {
    now: () => void turn(),
    start: () => {
      watchers += 1;
      if (watchers === 1) {
        ending = new AbortController();
        document.addEventListener("visibilitychange", seen);
        void turn();
      }
      return () => {
        watchers -= 1;
        if (watchers > 0) return;
        ending?.abort();
        ending = null;
        clearTimeout(timer);
        document.removeEventListener("visibilitychange", seen);
      };
    },
  };
}
