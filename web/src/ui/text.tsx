// An answer's Markdown on the page: one element for each block, so that while it grows only the last one is drawn anew.
// Formulas and code get their looks when they are whole, by parts of the page that are loaded then.
import type { JSX } from "preact";
import { memo } from "../ui/memo";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { blocks, type Block } from "../text/markdown";
import { w } from "../words";
import { copy } from "./copy";

const LINE_BY_LINE = 100_000; // characters; beyond that a text is shown as it is

export function Text({ text, growing = false }: { text: string; growing?: boolean }): JSX.Element {
  const found = useMemo(() => (text.length > LINE_BY_LINE ? null : blocks(text)), [text]);
  if (found === null) return <pre class="text plain">{text}</pre>;
  return (
    <div class={growing ? "text growing" : "text"}>
      {found.map((block, place) => (
        <Drawn key={place} block={block} whole={!growing || place < found.length - 1} />
      ))}
    </div>
  );
}

interface DrawnProps {
  readonly block: Block;
  readonly whole: boolean;
}

const Drawn = memo(
  function Drawn({ block, whole }: DrawnProps): JSX.Element {
    const place = useRef<HTMLDivElement>(null);
    useEffect(() => {
      if (whole && place.current) void adorn(place.current);
    }, [block.html, whole]);
    return <div ref={place} class="block" dangerouslySetInnerHTML={{ __html: block.html }} />;
  },
  (before: DrawnProps, after: DrawnProps) => before.block.html === after.block.html && before.whole === after.whole,
);

async function adorn(place: HTMLElement): Promise<void> {
  for (const code of place.querySelectorAll<HTMLElement>("pre > code")) {
    if (code.parentElement) addCopy(code.parentElement, code);
    const language = /language-(\S+)/.exec(code.className)?.[1];
    if (!language || code.dataset["done"]) continue;
    code.dataset["done"] = "yes";
    const { highlighted } = await import("../text/highlight");
    const coloured = highlighted(code.textContent, language);
    if (coloured !== null) code.innerHTML = coloured;
  }
  for (const formula of place.querySelectorAll<HTMLElement>(".formula:not([data-done])")) {
    formula.dataset["done"] = "yes";
    const { mathml } = await import("../text/formula");
    const drawn = mathml(formula.textContent, formula.dataset["display"] === "true");
    if (drawn !== null) formula.innerHTML = drawn;
  }
}

function addCopy(block: HTMLElement, code: HTMLElement): void {
  if (block.querySelector("button")) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy-code";
  button.textContent = w.value.copy;
  button.addEventListener("click", () => {
    void copy(code.textContent).then((done) => (button.textContent = done ? w.value.copied : w.value.copyFailed));
  });
  block.append(button);
}
