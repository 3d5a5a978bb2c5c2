// What is said to screen readers, politely and whole: an answer's beginning and end, not each of its words.
import { signal } from "@preact/signals";
import type { JSX } from "preact";

const said = signal("");

export function announce(text: string): void {
  said.value = text;
}

export function Announcer(): JSX.Element {
  return (
    <div class="unseen" role="status" aria-live="polite">
      {said}
    </div>
  );
}
