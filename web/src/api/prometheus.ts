// The few figures of /metrics that the page draws, out of Prometheus's text format. Pure.

export interface Timing {
  readonly sum: number;
  readonly count: number;
}

const LINE = /^([a-zA-Z_:][\w:]*)\{(.*)\} (\S+)/;
const NAME = /model_name="((?:\\.|[^"\\])*)"/;
const ESCAPES: Record<string, string> = { n: "\n", "\\": "\\", '"': '"' };

/** A histogram's sums and counts, by model. */
export function timings(text: string, family: string): Map<string, Timing> {
  const found = new Map<string, Timing>();
  for (const line of text.split("\n")) {
    if (!line.startsWith(family)) continue;
    const [, name, labels, value] = LINE.exec(line) ?? [];
    const kind = name === `${family}_sum` ? "sum" : name === `${family}_count` ? "count" : null;
    const model = NAME.exec(labels ?? "")?.[1]?.replace(/\\(.)/g, (_, each: string) => ESCAPES[each] ?? each);
    if (kind === null || model === undefined) continue;
    found.set(model, { ...(found.get(model) ?? { sum: 0, count: 0 }), [kind]: Number(value) });
  }
  return found;
}

/** The mean of what came between two looks; null where nothing did, or the gateway began anew. */
export function meanBetween(before: Timing | undefined, after: Timing | undefined): number | null {
  const count = (after?.count ?? 0) - (before?.count ?? 0);
  const sum = (after?.sum ?? 0) - (before?.sum ?? 0);
  return before !== undefined && count > 0 && sum >= 0 ? sum / count : null;
}
