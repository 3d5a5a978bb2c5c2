// Figures of a deployment and of the whole fleet as small charts, and memory as bars.
import type { JSX } from "preact";
import { Chart } from "../../ui/chart";
import { w } from "../../words";
import { held, together } from "./series";
import { samples, wantedReplicas, type Sample } from "./watching";

export function Charts({ name, admin }: { name: string; admin: boolean }): JSX.Element {
  const t = w.value;
  const all = samples.value.get(name) ?? [];
  const charts: [label: string, of: (sample: Sample) => number | null, shown: (value: number) => string][] = [
    [t.inFlight, (each) => each.inFlight, String],
    [t.queue, (each) => each.waiting, String],
  ];
  if (admin) {
    charts.push(
      [t.tokensRate, (each) => each.tokens, (value) => value.toFixed(1)],
      [t.latency, (each) => each.latency, seconds],
      [t.firstTokenTime, (each) => each.firstToken, seconds],
    );
  }
  return (
    <div class="charts">
      {charts.map(([label, of, shown]) => (
        <Chart key={label} label={label} values={held(all.map(of))} shown={shown} />
      ))}
    </div>
  );
}

/** The whole fleet in four figures. */
export function Totals(): JSX.Element {
  const t = w.value;
  const all = [...samples.value.values()];
  const tiles: [label: string, of: (sample: Sample) => number | null, shown: (value: number) => string][] = [
    [t.replicasReady, (each) => each.ready, (value) => `${value} / ${wantedReplicas.value}`],
    [t.inFlight, (each) => each.inFlight, String],
    [t.queue, (each) => each.waiting, String],
    [t.tokensRate, (each) => each.tokens, (value) => value.toFixed(1)],
  ];
  return (
    <div class="tiles">
      {tiles.map(([label, of, shown]) => (
        <div key={label} class="card tile">
          <Chart label={label} values={together(all.map((each) => each.map(of)))} shown={shown} />
        </div>
      ))}
    </div>
  );
}

export const seconds = (value: number) => (value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`);

export function bytes(value: number): string {
  if (value < 1e9) return `${Math.round(value / 1e6)} MB`;
  return `${(value / 1e9).toFixed(value < 1e10 ? 1 : 0)} GB`;
}

/** Of `whole`: what is ours, what others have. */
export function MemoryBar({ label, own, others = 0, whole, long = false }: { label: string; own: number; others?: number; whole: number; long?: boolean }): JSX.Element {
  const part = (value: number) => `${Math.max(0, Math.min(100, (100 * value) / Math.max(1, whole)))}%`;
  return (
    <span class={long ? "memory long" : "memory"} role="img" aria-label={`${label}: ${bytes(own + others)} / ${bytes(whole)}`}>
      <i style={{ width: part(own) }} />
      <i class="others" style={{ width: part(others) }} />
    </span>
  );
}
