// One prompt to several models at once, side by side; and a vote on what they said.
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { isOff, languageOf, namedVote, type Winner } from "../../api/arena";
import type { Sampling } from "../../api/chat";
import { sentence } from "../../api/http";
import { chatModels } from "../../api/models";
import { askedModel } from "../../state/route";
import { announce } from "../../ui/announce";
import { Button } from "../../ui/button";
import { Column, Side } from "../../ui/column";
import { Composer } from "../../ui/composer";
import { ModelMenu } from "../../ui/model_menu";
import { Settings } from "../../ui/settings";
import { Votes } from "../../ui/votes";
import { w } from "../../words";

interface Seat {
  readonly id: number;
  readonly model: string | null; // null: the next one of the list
  readonly side: Side;
}

const MOST = 6;
const CHAT = "/v1/chat/completions";
let seated = 0;
const seat = (model: string | null): Seat => ({ id: seated++, model, side: new Side() });
// They stay while another view is looked at.
const seats = signal<readonly Seat[]>([seat(askedModel), seat(null)]);
const sampling = signal<Sampling>({});
const system = signal("");

export default function Compare(): JSX.Element {
  const [settingsOpen, showSettings] = useState(false);
  const [told, tell] = useState<string | null>(null);
  const [voted, setVoted] = useState(false);
  const t = w.value;
  const all = seats.value;
  const names = all.map((each, place) => each.model ?? chatModels.value[place % Math.max(1, chatModels.value.length)]?.name ?? "");
  const busy = all.some((each) => each.side.running);
  const answered = !busy && all.every((each) => each.side.said.value.at(-1)?.answer?.text);
  const ask = async (prompt: string, asked: readonly number[]) => {
    setVoted(false);
    tell(null);
    announce(t.answering);
    await Promise.all(
      asked.map((place) =>
        all[place]?.side.ask(CHAT, prompt, { model: names[place] ?? "", system: system.value, sampling: sampling.value }),
      ),
    );
    announce(all.map((each, place) => `${names[place]}: ${each.side.said.value.at(-1)?.answer?.text ?? ""}`).join("\n"));
  };
  const vote = async (pairs: readonly (readonly [number, number, Winner])[]) => {
    setVoted(true);
    try {
      const language = languageOf(all[0]?.side.said.value.at(-1)?.prompt ?? "");
      for (const [one, other, winner] of pairs) await namedVote([names[one] ?? "", names[other] ?? ""], winner, language);
      tell(t.voteTaken);
    } catch (error) {
      tell(isOff(error) ? t.arenaOff : sentence(error));
    }
  };
  const best = (place: number) =>
    void vote(all.flatMap((_, other) => (other === place ? [] : [[place, other, "a"] as const])));
  const clear = () => {
    for (const each of all) each.side.clear();
    setVoted(false);
    tell(null);
  };
  return (
    <div class="page tall">
      <div class="row between">
        <h1>{t.compareTitle}</h1>
        <div class="row">
          <Button label={t.addModel} icon="plus" disabled={busy || all.length >= MOST} onClick={() => (seats.value = [...all, seat(null)])}>{t.addModel}</Button>
          <Button label={t.clear} onClick={clear}>{t.clear}</Button>
          <Button label={t.settings} icon="settings" kind="quiet" pressed={settingsOpen} onClick={() => showSettings(!settingsOpen)} />
        </div>
      </div>
      <p class="lead">{t.compareText}</p>
      {settingsOpen && (
        <Settings
          sampling={sampling.value}
          onSampling={(value) => (sampling.value = value)}
          system={system.value}
          onSystem={(value) => (system.value = value)}
        />
      )}
      <div class="columns">
        {all.map((each, place) => (
          <Column
            key={each.id}
            title={names[place] || t.modelNumber(place + 1)}
            side={each.side}
            empty={t.columnEmpty}
            onRetry={() => {
              const prompt = each.side.takeBack();
              if (prompt !== null) void ask(prompt, [place]);
            }}
            head={
              <div class="row between one">
                <ModelMenu
                  label={t.modelNumber(place + 1)}
                  chosen={names[place] ?? ""}
                  onChoose={(model) => (seats.value = all.map((other) => (other === each ? { ...each, model } : other)))}
                />
                {all.length > 2 && (
                  <Button label={t.removeModel(names[place] ?? "")} icon="close" kind="quiet" disabled={busy} onClick={() => (seats.value = all.filter((other) => other !== each))} />
                )}
                {all.length > 2 && answered && !voted && <Button label={t.best} onClick={() => best(place)}>{t.best}</Button>}
              </div>
            }
          />
        ))}
      </div>
      {all.length === 2 && answered && !voted && names[0] !== names[1] && (
        <Votes a={t.voteLeft} b={t.voteRight} onVote={(winner) => void vote([[0, 1, winner]])} />
      )}
      {told && <p class="note row center" role="status">{told}</p>}
      <Composer
        busy={busy}
        disabled={names.some((name) => !name)}
        onSend={(text) => void ask(text, all.map((_, place) => place))}
        onStop={() => all.forEach((each) => each.side.stop())}
      />
    </div>
  );
}
