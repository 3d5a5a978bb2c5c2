// What the fleet view knows: the newest report, and each deployment's figures over the last minutes, from when the page
// was opened. Owns both; looks once a second while somebody does.
import { computed, signal } from "@preact/signals";
import { fleetReport, machineReports, metrics, type DevicesReport, type FleetReport } from "../../api/fleet";
import { DoorError, sentence } from "../../api/http";
import { models, type ModelState } from "../../api/models";
import { meanBetween, timings, type Timing } from "../../api/prometheus";
import { watch } from "../../api/watch";
import { keys, wanted } from "../../state/keys";

export interface Sample {
  readonly ready: number;
  readonly inFlight: number;
  readonly waiting: number;
  readonly tokens: number | null;
  readonly latency: number | null; // seconds, a mean since the sample before
  readonly firstToken: number | null;
}

const SAMPLES = 240;
const EVERY_MS = 1000;
const LATENCY = "argosy_e2e_request_latency_seconds";
const FIRST_TOKEN = "argosy_time_to_first_token_seconds";

export const report = signal<FleetReport | null>(null);
export const machines = signal<readonly DevicesReport[]>([]);
export const fault = signal<{ text: string; noController: boolean } | null>(null);
export const samples = signal<ReadonlyMap<string, readonly Sample[]>>(new Map());
export const wantedReplicas = computed(() =>
  sum((report.value?.deployments ?? []).map((each) => (each.stopped ? 0 : each.wanted))),
);

let before = { latency: new Map<string, Timing>(), firstToken: new Map<string, Timing>() };

async function look(ending: AbortSignal): Promise<void> {
  if (!keys.value.admin) {
    report.value = null;
    fault.value = null;
    record((models.value ?? []).map((each) => [each.name, { ready: each.ready, inFlight: each.in_flight, waiting: each.waiting, tokens: null, latency: null, firstToken: null }]));
    return;
  }
  try {
    const [seen, text, found] = await Promise.all([
      fleetReport(ending),
      metrics(ending).catch(() => ""), // figures are not worth the view
      machineReports(ending).catch(() => []),
    ]);
    const now = { latency: timings(text, LATENCY), firstToken: timings(text, FIRST_TOKEN) };
    record(
      seen.deployments.map((each) => [
        each.name,
        {
          ready: each.ready,
          inFlight: sum(each.replicas.map((replica) => replica.in_flight)),
          waiting: each.waiting,
          tokens: sum(each.replicas.map((replica) => replica.tokens_per_second)),
          latency: meanBetween(before.latency.get(each.name), now.latency.get(each.name)),
          firstToken: meanBetween(before.firstToken.get(each.name), now.firstToken.get(each.name)),
        },
      ]),
    );
    before = now;
    report.value = seen;
    machines.value = found;
    fault.value = null;
  } catch (error) {
    if (ending.aborted) return;
    if (error instanceof DoorError && error.status === 401) {
      report.value = null;
      wanted.value ??= "admin";
    }
    fault.value = { text: sentence(error), noController: error instanceof DoorError && error.status === 503 };
  }
}

function record(found: readonly (readonly [string, Sample])[]): void {
  samples.value = new Map(found.map(([name, sample]) => [name, [...(samples.value.get(name) ?? []), sample].slice(-SAMPLES)]));
}

const sum = (values: readonly number[]) => values.reduce((all, each) => all + each, 0);

const watching = watch(look, EVERY_MS);
export const watchFleet = watching.start;
export const lookAtFleet = watching.now;

/** One word for a deployment, as /ready has it. */
export function stateOf(each: { ready: number; wanted: number; stopped: boolean; replicas: readonly { state: string }[] }): ModelState {
  if (each.stopped) return "stopped";
  if (each.ready >= each.wanted) return "ready";
  if (each.ready > 0) return "degraded";
  if (each.replicas.some((replica) => replica.state === "starting" || replica.state === "pending")) return "starting";
  return each.replicas.some((replica) => replica.state === "backoff") ? "backoff" : "failed";
}
