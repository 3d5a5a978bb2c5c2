// A conversation as a tree of turns: editing, asking again and branching add turns, and none is lost. Pure.
import type { Message, Part, Sampling } from "../api/chat";
import type { Figures } from "../api/figures";

export interface Turn {
  readonly id: string;
  readonly conversation: string;
  readonly parent: string | null;
  readonly role: "user" | "assistant";
  readonly text: string;
  readonly images?: readonly string[]; // data: URLs
  readonly model?: string;
  readonly thinking?: string;
  readonly figures?: Figures | null;
  readonly error?: string | null;
  readonly stopped?: boolean;
  readonly cut?: boolean;
  readonly at: number; // Unix milliseconds
}

export interface Conversation {
  readonly id: string;
  readonly title: string;
  readonly model: string;
  readonly system: string;
  readonly sampling: Sampling;
  readonly leaf: string | null; // the last turn that is shown
  readonly created: number;
  readonly updated: number;
}

const LONGEST_TITLE = 60;

/** The turns of one conversation, by id and by parent. Adding one makes no copy: a long history stays quick. */
export class Turns {
  readonly #byId = new Map<string, Turn>();
  readonly #children = new Map<string | null, string[]>();

  constructor(turns: Iterable<Turn> = []) {
    for (const turn of turns) this.put(turn);
  }

  get size(): number {
    return this.#byId.size;
  }

  put(turn: Turn): void {
    if (!this.#byId.has(turn.id)) {
      const siblings = this.#children.get(turn.parent);
      if (siblings) siblings.push(turn.id);
      else this.#children.set(turn.parent, [turn.id]);
    }
    this.#byId.set(turn.id, turn);
  }

  get(id: string): Turn | undefined {
    return this.#byId.get(id);
  }

  all(): Turn[] {
    return [...this.#byId.values()];
  }

  /** From the first turn to this one. */
  path(leaf: string | null): Turn[] {
    const found: Turn[] = [];
    const seen = new Set<string>(); // what was imported may go round in circles
    for (let at = leaf; at !== null && !seen.has(at); ) {
      const turn = this.#byId.get(at);
      if (!turn) break;
      seen.add(at);
      found.push(turn);
      at = turn.parent;
    }
    return found.reverse();
  }

  /** Other tries at the same place, in the order in which they were made; itself among them. */
  siblings(turn: Turn): readonly string[] {
    return this.#children.get(turn.parent) ?? [turn.id];
  }

  /** The newest end below a turn. */
  end(id: string): string {
    for (let at = id; ; ) {
      const next = this.#children.get(at)?.at(-1);
      if (next === undefined) return at;
      at = next;
    }
  }
}

/** Its first line, without the marks of Markdown. */
export function titleOf(text: string): string {
  const line = (text.trim().split("\n", 1)[0] ?? "").replace(/^(#+|[-*>])\s+/, "").replace(/\*\*|`/g, "");
  return line.length > LONGEST_TITLE ? `${line.slice(0, LONGEST_TITLE - 1)}…` : line;
}

/** What is sent for a path that ends with a person's turn. Answers that failed before their first word are left out. */
export function messagesOf(system: string, path: readonly Turn[]): Message[] {
  const messages: Message[] = system.trim() ? [{ role: "system", content: system }] : [];
  for (const turn of path) {
    if (turn.role === "assistant" && !turn.text) continue;
    messages.push({ role: turn.role, content: content(turn) });
  }
  return messages;
}

function content(turn: Turn): string | Part[] {
  if (!turn.images?.length) return turn.text;
  const text: Part[] = turn.text ? [{ type: "text", text: turn.text }] : [];
  return [...text, ...turn.images.map((url): Part => ({ type: "image_url", image_url: { url } }))];
}
