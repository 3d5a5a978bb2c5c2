// One turn on the page: what was said, its figures, and what can be done with it.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Turn, Turns } from "../../history/conversation";
import { branch, change } from "../../history/library";
import { go } from "../../state/route";
import { Button } from "../../ui/button";
import { copy } from "../../ui/copy";
import { FiguresLine } from "../../ui/figures_line";
import { Text } from "../../ui/text";
import { w } from "../../words";
import { again, edit, running } from "./talk";

interface Props {
  readonly turn: Turn;
  readonly turns: Turns;
}

export function TurnView({ turn, turns }: Props): JSX.Element {
  const live = running.value.get(turn.conversation);
  if (live && live.turn.peek().id === turn.id) return <Growing turns={turns} conversation={turn.conversation} />;
  return turn.role === "user" ? <Asked turn={turn} turns={turns} /> : <Said turn={turn} turns={turns} />;
}

/** Reads the signal by itself, so that a growing answer draws nothing else of the page. */
function Growing({ conversation, turns }: { conversation: string; turns: Turns }): JSX.Element | null {
  const turn = running.value.get(conversation)?.turn.value;
  return turn ? <Said turn={turn} turns={turns} growing /> : null;
}

function Asked({ turn, turns }: Props): JSX.Element {
  const [edited, setEdited] = useState<string | null>(null);
  const t = w.value;
  if (edited !== null) {
    const resend = () => {
      setEdited(null);
      if (edited.trim()) edit(turn, edited);
    };
    return (
      <article class="turn user" aria-label={t.you}>
        <textarea
          aria-label={t.edit}
          class="edited"
          value={edited}
          onInput={(event) => setEdited(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") setEdited(null);
            if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
              event.preventDefault();
              resend();
            }
          }}
          ref={(area) => area?.focus()}
        />
        <div class="row end">
          <Button label={t.cancel} onClick={() => setEdited(null)}>{t.cancel}</Button>
          <Button label={t.resend} kind="main" onClick={resend}>{t.resend}</Button>
        </div>
      </article>
    );
  }
  return (
    <article class="turn user" aria-label={t.you}>
      {turn.images?.map((url, place) => <img key={place} class="thumb" src={url} alt={t.imageNumber(place + 1)} />)}
      <p class="asked">{turn.text}</p>
      <div class="actions">
        <Siblings turn={turn} turns={turns} />
        <Copy text={turn.text} />
        <Button label={t.edit} icon="edit" kind="quiet" onClick={() => setEdited(turn.text)} />
      </div>
    </article>
  );
}

function Said({ turn, turns, growing = false }: Props & { growing?: boolean }): JSX.Element {
  const t = w.value;
  const bringOut = async () => {
    const id = await branch(turn);
    if (id) go("chat", id);
  };
  return (
    <article class="turn assistant" aria-label={t.answerOf(turn.model ?? "")} aria-busy={growing}>
      <p class="model">{turn.model}</p>
      {turn.thinking && (
        <details class="thinking">
          <summary>{t.thinking}</summary>
          <Text text={turn.thinking} growing={growing} />
        </details>
      )}
      {turn.text ? <Text text={turn.text} growing={growing} /> : growing && <p class="dots" aria-hidden="true"><i /><i /><i /></p>}
      {!growing && <Ending turn={turn} />}
      {!growing && (
        <div class="actions">
          <Siblings turn={turn} turns={turns} />
          <Copy text={turn.text} />
          <Button label={t.regenerate} icon="again" kind="quiet" onClick={() => again(turn)} />
          <Button label={t.branch} icon="branch" kind="quiet" onClick={() => void bringOut()} />
          {turn.figures && <FiguresLine figures={turn.figures} />}
        </div>
      )}
    </article>
  );
}

function Ending({ turn }: { turn: Turn }): JSX.Element | null {
  const t = w.value;
  if (turn.error) {
    return (
      <p class="fault" role="alert">
        <span>{turn.text ? t.broken : t.failed} {turn.error === "unfinished" ? t.unfinished : turn.error}</span>
        <Button label={t.retry} onClick={() => again(turn)}>{t.retry}</Button>
      </p>
    );
  }
  if (turn.stopped) return <p class="note">{t.stopped}</p>;
  if (turn.cut) return <p class="note">{t.cut}</p>;
  return turn.text || turn.thinking ? null : <p class="note">{t.emptyAnswer}</p>;
}

function Copy({ text }: { text: string }): JSX.Element {
  const [done, tell] = useState<boolean | null>(null);
  const t = w.value;
  const label = done === null ? t.copy : done ? t.copied : t.copyFailed;
  const press = async () => {
    tell(await copy(text));
    setTimeout(() => tell(null), 1500);
  };
  return <Button label={label} icon={done ? "check" : "copy"} kind="quiet" onClick={() => void press()} />;
}

/** ‹ 2/3 › where a turn has others beside it. */
function Siblings({ turn, turns }: Props): JSX.Element | null {
  const all = turns.siblings(turn);
  if (all.length < 2) return null;
  const place = all.indexOf(turn.id);
  const t = w.value;
  const turnTo = (id: string | undefined) => id !== undefined && change(turn.conversation, { leaf: turns.end(id) });
  return (
    <span class="siblings">
      <Button label={t.previous} icon="left" kind="quiet" disabled={place <= 0} onClick={() => turnTo(all[place - 1])} />
      {place + 1}/{all.length}
      <Button label={t.next} icon="right" kind="quiet" disabled={place + 1 >= all.length} onClick={() => turnTo(all[place + 1])} />
    </span>
  );
}
