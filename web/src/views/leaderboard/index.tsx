// Who is better, by people's votes: ratings with their intervals, and who beat whom how often.
import type { JSX } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { isOff, leaderboard, type Leaderboard as Board, type Standing } from "../../api/arena";
import { DoorError, sentence } from "../../api/http";
import { keys, wanted } from "../../state/keys";
import { address } from "../../state/route";
import { Nothing } from "../../ui/nothing";
import { w } from "../../words";

type Kind = "anonymous" | "named" | "all";
const KINDS: readonly Kind[] = ["anonymous", "named", "all"];

export default function Leaderboard(): JSX.Element {
  const [language, setLanguage] = useState("all");
  const [kind, setKind] = useState<Kind>("anonymous");
  const [board, setBoard] = useState<Board | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  const [off, setOff] = useState(false);
  const id = useId();
  const t = w.value;
  useEffect(() => {
    let late = false;
    leaderboard(language, kind).then(
      (found) => {
        if (late) return;
        setBoard(found);
        setFault(null);
      },
      (error: unknown) => {
        if (late) return;
        if (error instanceof DoorError && error.status === 401) wanted.value = "client";
        setOff(isOff(error));
        setFault(isOff(error) ? null : sentence(error));
      },
    );
    return () => {
      late = true;
    };
  }, [language, kind, keys.value.client]);
  if (off) {
    return (
      <div class="page">
        <h1>{t.leaderboardTitle}</h1>
        <Nothing icon="podium" text={t.arenaOff} />
      </div>
    );
  }
  return (
    <div class="page">
      <h1>{t.leaderboardTitle}</h1>
      {fault && <p class="fault" role="alert">{fault}</p>}
      <div class="row choices">
        <label for={`${id}-kind`}>
          {t.kindOfVotes}
          <select id={`${id}-kind`} value={kind} onChange={(event) => setKind(event.currentTarget.value as Kind)}>
            {KINDS.map((each) => <option key={each} value={each}>{t.kinds[each]}</option>)}
          </select>
        </label>
        <label for={`${id}-language`}>
          {t.languageOfVotes}
          <select id={`${id}-language`} value={language} onChange={(event) => setLanguage(event.currentTarget.value)}>
            {(board?.languages ?? ["all"]).map((each) => (
              <option key={each} value={each}>{each === "all" ? t.allLanguages : each}</option>
            ))}
          </select>
        </label>
        {board && board.models.length > 0 && <span class="note">{t.leaderboardText(board.votes)}</span>}
      </div>
      {board && (board.models.length === 0 ? <NoVotes /> : <Standings board={board} />)}
    </div>
  );
}

function NoVotes(): JSX.Element {
  const t = w.value;
  return (
    <Nothing icon="podium" text={t.noVotes}>
      <a class="button main" href={address("arena")}>{t.toArena}</a>
    </Nothing>
  );
}

function Standings({ board }: { board: Board }): JSX.Element {
  const t = w.value;
  const low = Math.min(...board.models.map((each) => each.low));
  const high = Math.max(...board.models.map((each) => each.high));
  return (
    <>
      <div class="card scroll" tabIndex={0} role="region" aria-label={t.leaderboardTitle}>
        <table class="figures-table">
          <thead>
            <tr>
              <th scope="col">{t.rank}</th>
              <th scope="col">{t.model}</th>
              <th scope="col" class="number">{t.rating}</th>
              <th scope="col">{t.interval}</th>
              <th scope="col" class="number">{t.elo}</th>
              <th scope="col" class="number">{t.votes}</th>
            </tr>
          </thead>
          <tbody>
            {board.models.map((each) => (
              <tr key={each.model}>
                <td>{each.rank}</td>
                <th scope="row">
                  {each.model} {each.preliminary && <span class="badge">{t.preliminary}</span>}
                </th>
                <td class="number"><strong>{Math.round(each.rating)}</strong></td>
                <td><Interval standing={each} low={low} high={high} /> {Math.round(each.low)} – {Math.round(each.high)}</td>
                <td class="number">{Math.round(each.elo)}</td>
                <td class="number">{each.votes}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <h2>{t.winMatrix}</h2>
      <HeatMap board={board} />
    </>
  );
}

function Interval({ standing, low, high }: { standing: Standing; low: number; high: number }): JSX.Element {
  const at = (value: number) => 6 + (188 * (value - low)) / Math.max(1, high - low);
  return (
    <svg class="interval" viewBox="0 0 200 18" aria-hidden="true">
      <line class="ground" x1="0" x2="200" y1="9" y2="9" />
      <line x1={at(standing.low)} x2={at(standing.high)} y1="9" y2="9" />
      <circle cx={at(standing.rating)} cy="9" r="5" />
    </svg>
  );
}

/** From red over the ground to green; the figure stands in each field, so that colour is not all there is. */
function HeatMap({ board }: { board: Board }): JSX.Element {
  const { models, rates, battles } = board.win_matrix;
  const t = w.value;
  return (
    <div class="card scroll" tabIndex={0} role="region" aria-label={t.winMatrix}>
      <table class="figures-table heat">
        <thead>
          <tr>
            <td />
            {models.map((each) => <th key={each} scope="col" title={each}>{each}</th>)}
          </tr>
        </thead>
        <tbody>
          {models.map((row, down) => (
            <tr key={row}>
              <th scope="row" title={row}>{row}</th>
              {models.map((column, across) => {
                const rate = rates[down]?.[across] ?? null;
                const shown = rate === null ? "–" : `${Math.round(rate * 100)}%`;
                return (
                  <td
                    key={column}
                    class={down === across ? "same" : ""}
                    style={rate === null ? {} : { backgroundColor: colour(rate) }}
                    {...(rate !== null && { title: t.winRate(row, column, shown, battles[down]?.[across] ?? 0) })}
                  >
                    {shown}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function colour(rate: number): string {
  const strength = Math.round(Math.abs(rate - 0.5) * 2 * 45);
  return `color-mix(in srgb, var(--${rate >= 0.5 ? "good" : "bad"}) ${strength}%, var(--paper))`;
}
