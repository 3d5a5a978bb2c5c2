// How quick an answer was. Pure.

/** Times are of this browser, from sending on. */
export interface Figures {
  readonly firstTokenSeconds: number | null;
  readonly seconds: number;
  readonly tokens: number;
  readonly promptTokens: number | null;
}

const SHORTEST_SECONDS = 0.1; // what came within less came at once: its pace is the network's

/** Tokens a second after the first one; null for an answer too short to tell. */
export function pace(figures: Figures): number | null {
  const writing = figures.seconds - (figures.firstTokenSeconds ?? 0);
  return figures.tokens > 1 && writing >= SHORTEST_SECONDS ? (figures.tokens - 1) / writing : null;
}
