// What is drawn of figures over time. Pure.

/** Sums of series that end now, some of which began later. */
export function together(all: readonly (readonly (number | null)[])[]): number[] {
  const longest = Math.max(0, ...all.map((each) => each.length));
  return Array.from({ length: longest }, (_, place) =>
    all.reduce((sum, each) => sum + (each[each.length - longest + place] ?? 0), 0),
  );
}

const HELD = 10; // samples: between two requests the last one's time stands for a while

export function held(values: readonly (number | null)[]): (number | null)[] {
  let last: number | null = null;
  let age = 0;
  return values.map((value) => {
    if (value !== null) {
      last = value;
      age = 0;
    } else if (++age > HELD) last = null;
    return last;
  });
}
