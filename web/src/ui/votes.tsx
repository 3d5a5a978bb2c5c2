// The four verdicts on two answers.
import type { JSX } from "preact";
import type { Winner } from "../api/arena";
import { w } from "../words";
import { Button } from "./button";

export function Votes({ a, b, onVote, disabled = false }: { a: string; b: string; onVote: (winner: Winner) => void; disabled?: boolean }): JSX.Element {
  const t = w.value;
  const choices: [Winner, string][] = [["a", a], ["tie", t.tie], ["both_bad", t.bothBad], ["b", b]];
  return (
    <div class="row votes" role="group" aria-label={t.voteWhich}>
      {choices.map(([winner, label]) => (
        <Button key={winner} label={label} disabled={disabled} onClick={() => onVote(winner)}>{label}</Button>
      ))}
    </div>
  );
}
