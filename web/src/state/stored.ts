// Values that outlive the page, in the browser's own storage; where that is closed to us they live as long as the page.
import { effect, signal, type Signal } from "@preact/signals";

export function read(storage: Storage, name: string): string | null {
  try {
    return storage.getItem(name);
  } catch {
    return null;
  }
}

export function write(storage: Storage, name: string, value: string | null): void {
  try {
    if (value === null) storage.removeItem(name);
    else storage.setItem(name, value);
  } catch {
    // private windows and full disks: the page goes on without
  }
}

/** A signal that is kept in localStorage. `good`: whether what was found there is of the kind that is wanted. */
export function stored<T>(name: string, otherwise: T, good: (found: unknown) => found is T): Signal<T> {
  const kept = read(localStorage, name);
  let value = otherwise;
  if (kept !== null) {
    try {
      const found: unknown = JSON.parse(kept);
      if (good(found)) value = found;
    } catch {
      // of another version, or edited by hand
    }
  }
  const made = signal(value);
  effect(() => write(localStorage, name, JSON.stringify(made.value)));
  return made;
}
