// A value over the last minutes as a small line, its last value in words.
import type { JSX } from "preact";

interface Props {
  readonly label: string;
  readonly values: readonly (number | null)[];
  readonly shown: (value: number) => string;
}

const WIDTH = 160;
const HEIGHT = 38;
const LEAST = 60; // points across, until there are more

export function Chart({ label, values, shown }: Props): JSX.Element {
  const last = values.at(-1) ?? null;
  const drawn = lines(values);
  return (
    <figure class="chart">
      <figcaption>
        {label} <strong>{last === null ? "–" : shown(last)}</strong>
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        {drawn.map((points) => <path key={points[0]?.[0]} class="under" d={`${path(points)}V${HEIGHT}H${points[0]?.[0] ?? 0}Z`} />)}
        <path class="drawn" d={drawn.map(path).join("")} />
      </svg>
    </figure>
  );
}

type Point = readonly [x: number, y: number];

/** Of known values, the newest at the right, the greatest at the top; one for each run between gaps. */
export function lines(values: readonly (number | null)[]): Point[][] {
  const top = Math.max(1e-9, ...values.filter((value) => value !== null));
  const step = WIDTH / (Math.max(LEAST, values.length) - 1);
  const found: Point[][] = [];
  let open: Point[] | null = null;
  values.forEach((value, place) => {
    if (value === null) {
      open = null;
      return;
    }
    const x = WIDTH - (values.length - 1 - place) * step;
    if (open === null) found.push((open = []));
    open.push([round(x), round(HEIGHT - 1 - (value / top) * (HEIGHT - 4))]);
  });
  return found;
}

const round = (value: number) => Math.round(value * 10) / 10;
const path = (points: readonly Point[]) => `M${points.map((point) => point.join(" ")).join("L")}`;
