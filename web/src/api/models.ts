// What this key may use, with states and lines; asked again and again while somebody looks.
import { computed, signal } from "@preact/signals";
import { wanted } from "../state/keys";
import { askJson, DoorError, sentence } from "./http";
import { watch } from "./watch";

export type ModelState = "ready" | "degraded" | "starting" | "backoff" | "failed" | "stopped";
export interface ModelView {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly task: string;
  readonly state: ModelState;
  readonly wanted: number;
  readonly ready: number;
  readonly in_flight: number;
  readonly waiting: number;
  readonly sees: boolean | null;
}

export const models = signal<readonly ModelView[] | null>(null); // null: not known yet
export const modelsFault = signal<string | null>(null);
export const chatModels = computed(() => (models.value ?? []).filter((each) => each.task === "generate"));
/** Where a conversation begins: one that serves, else the first. */
export const firstModel = computed(() => {
  const all = chatModels.value;
  return (all.find((each) => each.ready > 0) ?? all[0])?.name ?? "";
});

const EVERY_MS = 2000;

async function look(signal: AbortSignal): Promise<void> {
  try {
    models.value = await askJson<ModelView[]>("/argosy/v1/models", { signal });
    modelsFault.value = null;
  } catch (error) {
    if (signal.aborted) return;
    modelsFault.value = sentence(error);
    if (error instanceof DoorError && error.status === 401) {
      wanted.value ??= "client";
      models.value = null;
    }
  }
}

const watching = watch(look, EVERY_MS);
export const watchModels = watching.start;
export const lookAtModels = watching.now;

export function modelNamed(name: string): ModelView | undefined {
  return models.value?.find((each) => each.name === name || each.aliases.includes(name));
}
