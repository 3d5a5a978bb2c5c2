// A value over the last minutes as a small line, its scale and last value in words.
import type { JSX } from "preact";

interface Props {
  readonly label: string;
  readonly values: readonly (number | null)[];
  readonly most: number; // points that fit
  readonly shown: (value: number) => string;
}

const WIDTH = 160;
const HEIGHT = 36;

export function Chart({ label, values, most, shown }: Props): JSX.Element {
  const known = values.filter((value) => value !== null);
  const top = Math.max(1e-9, ...known);
  const last = values.at(-1) ?? null;
  return (
    <figure class="chart">
      <figcaption>
        {label} <strong>{last === null ? "–" : shown(last)}</strong>
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        <path d={line(values, most, top)} />
      </svg>
    </figure>
  );
}

/** Of known values; a gap where one is missing. */
export function line(values: readonly (number | null)[], most: number, top: number): string {
  const step = WIDTH / Math.max(1, most - 1);
  let path = "";
  let pen = "M";
  values.forEach((value, place) => {
    if (value === null) {
      pen = "M";
      return;
    }
    const x = WIDTH - (values.length - 1 - place) * step;
    path += `${pen}${x.toFixed(1)} ${(HEIGHT - 2 - (value / top) * (HEIGHT - 4)).toFixed(1)}`;
    pen = "L";
  });
  return path;
}
