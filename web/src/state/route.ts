// Where the page is: #/chat, #/chat/ID, #/compare, #/arena, #/leaderboard, #/fleet. What stands in ?model= holds for all.
import { computed, signal } from "@preact/signals";

export type ViewName = "chat" | "compare" | "arena" | "leaderboard" | "fleet";
export const VIEWS: readonly ViewName[] = ["chat", "compare", "arena", "leaderboard", "fleet"];

const hash = signal(location.hash);
addEventListener("hashchange", () => (hash.value = location.hash));

export const route = computed<{ view: ViewName; id: string | null }>(() => {
  const [view, id] = hash.value.replace(/^#\/?/, "").split("/");
  const known = VIEWS.find((each) => each === view);
  return { view: known ?? "chat", id: known && id ? decodeURIComponent(id) : null };
});

export function address(view: ViewName, id?: string): string {
  return `#/${view}${id ? `/${encodeURIComponent(id)}` : ""}`;
}

/** `replacing`: the way back does not lead here again. */
export function go(view: ViewName, id?: string, { replacing = false } = {}): void {
  if (!replacing) {
    location.hash = address(view, id);
    return;
  }
  history.replaceState(null, "", `${location.pathname}${location.search}${address(view, id)}`);
  hash.value = location.hash;
}

export const askedModel = new URLSearchParams(location.search).get("model");
