// All conversations of this browser and the one that is open. Owns them: views ask here for every change.
import { computed, signal } from "@preact/signals";
import type { Sampling } from "../api/chat";
import { titleOf, Turns, type Conversation, type Turn } from "./conversation";
import type { Whole } from "./formats";
import { Store } from "./store";

/** `turns` is one object for as long as it is open; a change of `conversation` or `put` makes a new Opened around it. */
export interface Opened {
  readonly conversation: Conversation;
  readonly turns: Turns;
}

const store = new Store();
const listed = signal<readonly Conversation[]>([]);
export const conversations = computed(() => [...listed.value].sort((one, other) => other.updated - one.updated));
export const opened = signal<Opened | null>(null);
/** Why nothing is kept, where it is not. */
export const libraryFault = signal<string | null>(null);

export const newId = () => (crypto.randomUUID ? crypto.randomUUID() : fromRandom()); // the former only by HTTPS or here

function fromRandom(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function kept<T>(doing: Promise<T>): Promise<T | undefined> {
  return doing.catch((error: unknown) => {
    libraryFault.value = error instanceof Error ? error.message : String(error);
    return undefined;
  });
}

export async function loadLibrary(): Promise<void> {
  const found = await kept(store.list());
  const own = new Set(listed.value.map((each) => each.id)); // begun meanwhile
  listed.value = [...listed.value, ...(found ?? []).filter((each) => !own.has(each.id))];
}

export async function open(id: string | null): Promise<boolean> {
  if (id === null) {
    opened.value = null;
    return true;
  }
  if (opened.value?.conversation.id === id) return true;
  const conversation = listed.value.find((each) => each.id === id);
  if (!conversation) return false;
  const turns = new Turns((await kept(store.turns(id))) ?? []);
  opened.value = { conversation, turns };
  return true;
}

export function begin(model: string, system: string, sampling: Sampling): Opened {
  const now = Date.now();
  const conversation = { id: newId(), title: "", model, system, sampling, leaf: null, created: now, updated: now };
  opened.value = { conversation, turns: new Turns() };
  listed.value = [...listed.value, conversation];
  return opened.value;
}

/** Writes it down and shows it, wherever that conversation is. */
export function change(id: string, changes: Partial<Conversation>, added: readonly Turn[] = []): void {
  const before = listed.value.find((each) => each.id === id);
  if (!before) return; // it was removed while an answer came
  const title = before.title || (added[0] ? titleOf(added[0].text) : "");
  const after = { ...before, title, ...changes };
  listed.value = listed.value.map((each) => (each.id === id ? after : each));
  const now = opened.value;
  if (now?.conversation.id === id) {
    for (const turn of added) now.turns.put(turn);
    opened.value = { conversation: after, turns: now.turns };
  }
  void kept(store.put(after, added));
}

export async function remove(id: string): Promise<void> {
  listed.value = listed.value.filter((each) => each.id !== id);
  if (opened.value?.conversation.id === id) opened.value = null;
  await kept(store.remove(id));
}

export async function add(found: readonly Whole[]): Promise<void> {
  for (const { conversation, turns } of found) await kept(store.put(conversation, turns));
  listed.value = [...listed.value, ...found.map((each) => each.conversation)];
}

/** A conversation of its own that goes on from this turn. */
export async function branch(turn: Turn): Promise<string | null> {
  const now = opened.value;
  if (!now) return null;
  const conversation = newId();
  let parent: string | null = null;
  const turns = now.turns.path(turn.id).map((each): Turn => {
    const copy = { ...each, id: newId(), conversation, parent };
    parent = copy.id;
    return copy;
  });
  await add([{ conversation: { ...now.conversation, id: conversation, leaf: parent, updated: Date.now() }, turns }]);
  return conversation;
}

export async function whole(ids: readonly string[]): Promise<Whole[]> {
  const wanted = new Set(ids);
  return (await kept(store.whole(listed.value.filter((each) => wanted.has(each.id))))) ?? [];
}

export async function saying(text: string): Promise<Set<string>> {
  return (await kept(store.saying(text))) ?? new Set();
}
