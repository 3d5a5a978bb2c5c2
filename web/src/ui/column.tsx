// One of several conversations side by side: its own turns, in memory only. Used by the comparison and the arena.
import { signal, type Signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { chat, type Answer, type Message, type Sampling } from "../api/chat";
import { w } from "../words";
import { Button } from "./button";
import { FiguresLine } from "./figures_line";
import { Text } from "./text";

export interface Said {
  readonly prompt: string;
  readonly answer: Answer | null; // null: nothing has come yet
  readonly running: boolean;
}

/** Asks one side, and keeps what was said. */
export class Side {
  readonly said: Signal<readonly Said[]> = signal([]);
  #ending: AbortController | null = null;

  get running(): boolean {
    return this.said.value.at(-1)?.running ?? false;
  }

  /** Ends when its answer does. */
  async ask(path: string, prompt: string, { model, system = "", sampling = {} }: { model?: string; system?: string; sampling?: Sampling }): Promise<void> {
    const before = this.said.value;
    this.said.value = [...before, { prompt, answer: null, running: true }];
    const ending = (this.#ending = new AbortController());
    const messages: Message[] = system ? [{ role: "system", content: system }] : [];
    for (const each of before) {
      messages.push({ role: "user", content: each.prompt });
      if (each.answer?.text) messages.push({ role: "assistant", content: each.answer.text });
    }
    messages.push({ role: "user", content: prompt });
    let drawn = 0;
    const show = (answer: Answer, running: boolean) => {
      if (this.#ending === ending) this.said.value = [...before, { prompt, answer, running }];
    };
    let latest: Answer | null = null;
    const end = await chat(
      path,
      { ...(model !== undefined && { model }), messages, ...sampling },
      {
        signal: ending.signal,
        onPart: (answer) => {
          latest = answer;
          drawn ||= requestAnimationFrame(() => {
            drawn = 0;
            if (latest) show(latest, true);
          });
        },
      },
    );
    cancelAnimationFrame(drawn);
    show(end, false);
  }

  /** The last prompt once more, where its answer broke. */
  takeBack(): string | null {
    const last = this.said.value.at(-1);
    this.said.value = this.said.value.slice(0, -1);
    return last?.prompt ?? null;
  }

  stop(): void {
    this.#ending?.abort();
  }

  clear(): void {
    this.#ending?.abort();
    this.#ending = null;
    this.said.value = [];
  }
}

interface Props {
  readonly title: string;
  readonly side: Side;
  readonly head: ComponentChildren;
  readonly empty: string; // what stands there before anything is said
  readonly better?: boolean; // by the vote
  readonly onRetry: () => void;
}

export function Column({ title, side, head, empty, better = false, onRetry }: Props): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const t = w.value;
  const said = side.said.value;
  useEffect(() => {
    const shown = box.current;
    if (shown && side.running) shown.scrollTop = shown.scrollHeight;
  }, [said]);
  return (
    <section class={better ? "card column better" : "card column"} aria-label={title}>
      <div class="column-head">{head}</div>
      {said.length === 0 && <p class="empty">{empty}</p>}
      <div ref={box} class="thread" hidden={said.length === 0} tabIndex={0} role="region" aria-label={`${t.conversation}: ${title}`}>
        <div class="turns">
          {said.map(({ prompt, answer, running }, place) => (
            <div key={place} class="turn" aria-busy={running}>
              <p class="asked">{prompt}</p>
              {answer?.thinking && (
                <details class="thinking">
                  <summary>{t.thinking}</summary>
                  <Text text={answer.thinking} growing={running} />
                </details>
              )}
              {answer?.text ? <Text text={answer.text} growing={running} /> : running && <p class="dots" aria-hidden="true"><i /><i /><i /></p>}
              {answer?.error && (
                <p class="fault" role="alert">
                  <span>{answer.text ? t.broken : t.failed} {answer.error === "unfinished" ? t.unfinished : answer.error}</span>
                  {place === said.length - 1 && <Button label={t.retry} onClick={onRetry}>{t.retry}</Button>}
                </p>
              )}
              {answer?.stopped && <p class="note">{t.stopped}</p>}
              {!running && answer?.figures && <FiguresLine figures={answer.figures} />}
            </div>
          ))}
        </div>
      </div>
    </section>
  );
}
