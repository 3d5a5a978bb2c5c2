// Two models without names. The page never knows who they are before the vote: the server has drawn them.
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { arenaState, isOff, languageOf, newBattle, sidePath, vote, type ArenaState, type Side as SideName, type Verdict, type Winner } from "../../api/arena";
import { DoorError, sentence } from "../../api/http";
import { keys, wanted } from "../../state/keys";
import { address } from "../../state/route";
import { announce } from "../../ui/announce";
import { Button } from "../../ui/button";
import { Column, Side } from "../../ui/column";
import { Composer } from "../../ui/composer";
import { Nothing } from "../../ui/nothing";
import { Votes } from "../../ui/votes";
import { w } from "../../words";

const SIDES: readonly SideName[] = ["a", "b"];
const sides: Record<SideName, Side> = { a: new Side(), b: new Side() };
const OFF: ArenaState = { enabled: false, models: [], minimum_votes: 0 };
const battle = signal<string | null>(null);
const verdict = signal<Verdict | null>(null);
const judged = signal<Winner | null>(null); // as voted

export default function Arena(): JSX.Element {
  const [state, setState] = useState<ArenaState | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  const [voting, setVoting] = useState(false);
  const t = w.value;
  const failed = (error: unknown) => {
    if (error instanceof DoorError && error.status === 401) wanted.value = "client";
    if (isOff(error)) setState(OFF);
    else setFault(sentence(error));
  };
  useEffect(() => {
    setFault(null);
    arenaState().then(setState, failed);
  }, [keys.value.client]);

  const busy = SIDES.some((name) => sides[name].running);
  const answered = !busy && SIDES.every((name) => sides[name].said.value.at(-1)?.answer?.text);
  const titles = { a: t.sideA, b: t.sideB };
  const ask = async (prompt: string, asked: readonly SideName[]) => {
    setFault(null);
    try {
      battle.value ??= (await newBattle(languageOf(prompt))).id;
    } catch (error) {
      failed(error);
      return;
    }
    const id = battle.value;
    announce(t.answering);
    await Promise.all(asked.map((name) => sides[name].ask(sidePath(id, name), prompt, {})));
    announce(SIDES.map((name) => `${titles[name]}: ${sides[name].said.value.at(-1)?.answer?.text ?? ""}`).join("\n"));
  };
  const judge = async (winner: Winner) => {
    if (battle.value === null) return;
    setVoting(true);
    try {
      verdict.value = await vote(battle.value, winner);
      judged.value = winner;
    } catch (error) {
      failed(error);
    }
    setVoting(false);
  };
  const anew = () => {
    for (const name of SIDES) sides[name].clear();
    battle.value = null;
    verdict.value = null;
    setFault(null);
  };
  if (state && !state.enabled) {
    return (
      <div class="page">
        <h1>{t.arenaTitle}</h1>
        <Nothing icon="columns" text={state.reason ?? t.arenaOff} />
      </div>
    );
  }
  const end = verdict.value;
  return (
    <div class="page tall">
      <div class="row between">
        <h1>{t.arenaTitle}</h1>
        {battle.value !== null && !end && <Button label={t.newBattle} icon="plus" onClick={anew}>{t.newBattle}</Button>}
      </div>
      <p class="lead">{t.arenaText}</p>
      {fault && <p class="fault" role="alert">{fault}</p>}
      {state && state.models.length < 2 && <p class="note">{t.needTwo}</p>}
      <div class="columns">
        {SIDES.map((name) => (
          <Column
            key={name}
            title={titles[name]}
            side={sides[name]}
            empty={t.sideEmpty}
            better={end !== null && judged.value === name}
            head={
              <div class="row between">
                <h2>{titles[name]}</h2>
                {end && <strong>{end.models[name]}</strong>}
              </div>
            }
            onRetry={() => {
              const prompt = sides[name].takeBack();
              if (prompt !== null) void ask(prompt, [name]);
            }}
          />
        ))}
      </div>
      {end ? (
        <div class="reveal" role="status">
          <p>
            {end.counted ? t.voteTaken : `${t.notCounted} ${end.why_not ?? ""}`} {titles.a}: <strong>{end.models.a}</strong>. {titles.b}: <strong>{end.models.b}</strong>.{" "}
            <a href={address("leaderboard")}>{t.leaderboardTitle}</a>
          </p>
          <Button label={t.newBattle} icon="plus" kind="main" onClick={anew}>{t.newBattle}</Button>
        </div>
      ) : (
        <>
          {answered && <Votes a={t.voteA} b={t.voteB} disabled={voting} onVote={(winner) => void judge(winner)} />}
          <Composer busy={busy} onSend={(text) => void ask(text, SIDES)} onStop={() => SIDES.forEach((name) => sides[name].stop())} />
        </>
      )}
    </div>
  );
}
