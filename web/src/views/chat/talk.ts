// Turns that are asked and answered: sending, asking again, editing, stopping. An answer goes on while another
// conversation is looked at. Owns the answers that run.
import { signal, type Signal } from "@preact/signals";
import { chat, type Answer } from "../../api/chat";
import { lookAtModels } from "../../api/models";
import { messagesOf, type Turn } from "../../history/conversation";
import { change, newId, opened, type Opened } from "../../history/library";
import { wanted } from "../../state/keys";
import { announce } from "../../ui/announce";
import { w } from "../../words";

interface Running {
  readonly turn: Signal<Turn>;
  readonly ending: AbortController;
}

/** By conversation. */
export const running = signal<ReadonlyMap<string, Running>>(new Map());

const KEPT_EVERY_MS = 2000; // a page that is closed loses no more of an answer than that

export function send(at: Opened, text: string, images: readonly string[]): void {
  ask(at, at.conversation.leaf, text, images);
}

/** The same place in the conversation with other words. */
export function edit(turn: Turn, text: string): void {
  if (opened.value) ask(opened.value, turn.parent, text, turn.images ?? []);
}

function ask({ conversation }: Opened, parent: string | null, text: string, images: readonly string[]): void {
  const at = Date.now();
  const turn: Turn = { id: newId(), conversation: conversation.id, parent, role: "user", text, at, ...(images.length > 0 && { images }) };
  change(conversation.id, { leaf: turn.id, updated: at }, [turn]);
  void answer(conversation.id, turn.id);
}

/** Another answer beside this one. */
export function again(turn: Turn): void {
  if (turn.parent !== null) void answer(turn.conversation, turn.parent);
}

export function stop(conversation: string): void {
  running.value.get(conversation)?.ending.abort();
}

async function answer(id: string, parent: string): Promise<void> {
  const at = opened.value;
  if (at?.conversation.id !== id || running.value.has(id)) return;
  const { model, system, sampling } = at.conversation;
  const messages = messagesOf(system, at.turns.path(parent));
  const blank: Turn = { id: newId(), conversation: id, parent, role: "assistant", text: "", model, at: Date.now() };
  const turn = signal(blank);
  const ending = new AbortController();
  running.value = new Map(running.value).set(id, { turn, ending });
  change(id, { leaf: blank.id }, [blank]);
  announce(w.value.answering);
  let kept = Date.now();
  let drawn = 0;
  let latest: Answer | null = null;
  const end = await chat(
    "/v1/chat/completions",
    { model, messages, ...sampling },
    {
      signal: ending.signal,
      onPart: (part) => {
        // One drawing a frame: a model on a good GPU says hundreds of words a second.
        latest = part;
        drawn ||= requestAnimationFrame(() => {
          drawn = 0;
          if (latest) turn.value = told(blank, latest);
        });
        if (Date.now() - kept > KEPT_EVERY_MS) {
          kept = Date.now();
          change(id, {}, [told(blank, part)]);
        }
      },
    },
  );
  cancelAnimationFrame(drawn);
  const left = new Map(running.value);
  left.delete(id);
  change(id, { updated: Date.now() }, [told(blank, end)]);
  running.value = left;
  if (end.status === 401) wanted.value = "client";
  announce(end.error ? w.value.answerFailed : end.stopped ? w.value.answerStopped : `${w.value.answered} ${end.text}`);
  lookAtModels();
}

function told(turn: Turn, answer: Answer): Turn {
  const { text, thinking, figures, error, stopped, cut } = answer;
  return { ...turn, text, figures, error, stopped, cut, ...(thinking && { thinking }) };
}
