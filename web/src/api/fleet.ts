// The fleet's surface, as docs/reference/http.md has it. All of it wants the admin key.
import { ask, askJson } from "./http";
import { events } from "./sse";

export interface ReplicaReport {
  readonly id: string;
  readonly state: string;
  readonly reason: string;
  readonly node: string;
  readonly devices: readonly string[];
  readonly in_flight: number;
  readonly restarts: number;
  readonly since: number;
  readonly tokens_per_second: number;
  readonly memory_bytes: number | null;
}

export interface DeploymentReport {
  readonly name: string;
  readonly engine: string;
  readonly source: string | null;
  readonly aliases: readonly string[];
  readonly wanted: number;
  readonly ready: number;
  readonly stopped: boolean;
  readonly waiting: number;
  readonly replicas: readonly ReplicaReport[];
}

export interface FleetReport {
  readonly name: string;
  readonly deployments: readonly DeploymentReport[];
}

/** A GPU: `replicas` have what they were given of it, whether they have taken it yet or not. */
export interface DeviceReport {
  readonly index: number;
  readonly name: string;
  readonly memory_bytes: number;
  readonly free_bytes: number;
  readonly replicas: readonly { readonly replica: string; readonly memory_bytes: number; readonly fleet: string }[];
  /** `replica`: whose engine it is; "": a stranger's. */
  readonly processes: readonly { readonly replica: string; readonly memory_bytes: number | null }[];
}

export interface DevicesReport {
  readonly node: string;
  readonly cores: number;
  readonly memory_bytes: number;
  readonly free_bytes: number;
  readonly simulated: boolean;
  readonly devices: readonly DeviceReport[];
}

export interface FleetEvent {
  readonly at: number; // 0: of what was so already, and nobody knows since when
  readonly kind: string;
  readonly name: string;
  readonly state: string;
  readonly reason: string;
}

const admin = (signal?: AbortSignal) => ({ key: "admin" as const, ...(signal && { signal }) });
// Names may hold slashes, which stay; what else would change the path does not.
const inPath = (name: string) => name.split("/").map(encodeURIComponent).join("/");

export const fleetReport = (signal: AbortSignal) => askJson<FleetReport>("/argosy/v1/fleet", admin(signal));
export const machineReports = (signal: AbortSignal) => askJson<DevicesReport[]>("/argosy/v1/fleet/machines", admin(signal));
export const metrics = async (signal: AbortSignal) => (await ask("/metrics", admin(signal))).text();

export type Change = "stop" | "start" | "restart" | "drain";
export const change = (what: Change, name: string) =>
  askJson<FleetReport>(`/argosy/v1/fleet/${what}/${inPath(name)}`, { ...admin(), method: "POST" });
export const scale = (name: string, replicas: number) =>
  askJson<FleetReport>(`/argosy/v1/fleet/scale/${inPath(name)}?replicas=${replicas}`, { ...admin(), method: "POST" });

/** Each thing as it is now, then its changes, until the signal. */
export async function* fleetEvents(signal: AbortSignal): AsyncGenerator<FleetEvent> {
  const { body } = await ask("/argosy/v1/fleet/events", admin(signal));
  if (body) for await (const { data } of events(body)) yield JSON.parse(data) as FleetEvent;
}

/** What a replica's log says from a place on, or its last lines; and where the next part begins. */
export async function logPart(replica: string, after: string | null, signal: AbortSignal): Promise<[text: string, end: string | null]> {
  const part = after === null ? "lines=200" : `after=${after}`;
  const answer = await ask(`/argosy/v1/logs/${inPath(replica)}?${part}`, admin(signal));
  return [await answer.text(), answer.headers.get("x-argosy-log-end")];
}

export interface PullEvent {
  readonly state: "progress" | "done" | "failed";
  readonly text: string; // a phrase, the path, or the reason
  readonly done_bytes: number;
  readonly total_bytes: number | null;
}

export async function* pull(source: string, signal: AbortSignal): AsyncGenerator<PullEvent> {
  const { body } = await ask(`/argosy/v1/fleet/pull?source=${encodeURIComponent(source)}`, { ...admin(signal), method: "POST" });
  if (body) for await (const { data } of events(body)) yield JSON.parse(data) as PullEvent;
}
