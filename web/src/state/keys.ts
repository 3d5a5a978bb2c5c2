// The two keys that a person may give: the client key of the OpenAI surface, the admin key of the fleet.
// Kept for this tab, or in this browser, as they chose; sent to this door alone.
import { signal } from "@preact/signals";
import { read, write } from "./stored";

export type KeyKind = "client" | "admin";

const NAME = (kind: KeyKind) => `argosy.key.${kind}`;
const find = (kind: KeyKind) => read(sessionStorage, NAME(kind)) ?? read(localStorage, NAME(kind)) ?? "";

export const keys = signal<Readonly<Record<KeyKind, string>>>({ client: find("client"), admin: find("admin") });
/** The key that the page asks for now. */
export const wanted = signal<KeyKind | null>(null);

export function give(kind: KeyKind, key: string, lasting: boolean): void {
  write(sessionStorage, NAME(kind), lasting ? null : key);
  write(localStorage, NAME(kind), lasting ? key : null);
  keys.value = { ...keys.value, [kind]: key };
}

export function forget(kind: KeyKind): void {
  write(sessionStorage, NAME(kind), null);
  write(localStorage, NAME(kind), null);
  keys.value = { ...keys.value, [kind]: "" };
}
