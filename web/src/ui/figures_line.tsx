// What an answer's figures say, in a line.
import type { JSX } from "preact";
import { pace, type Figures } from "../api/figures";
import { w } from "../words";

export function FiguresLine({ figures }: { figures: Figures }): JSX.Element {
  const t = w.value;
  const rate = pace(figures);
  const parts = [
    rate === null ? null : t.tokensPerSecond(rate.toFixed(1)),
    figures.firstTokenSeconds === null ? null : t.firstToken(figures.firstTokenSeconds.toFixed(2)),
    t.tokens(figures.tokens),
  ];
  return <span class="figures">{parts.filter((part) => part !== null).join(" · ")}</span>;
}
