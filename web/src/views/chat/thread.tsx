// The turns of the open conversation, the last ones first: earlier ones are drawn when somebody scrolls up to them, so a
// conversation of ten thousand turns opens as quickly as one of ten. Keeps to the end while an answer grows there.
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Opened } from "../../history/library";
import { Button } from "../../ui/button";
import { w } from "../../words";
import { TurnView } from "./turn";

const DRAWN_AT_ONCE = 20;
const NEAR_PX = 80;

export function Thread({ at }: { at: Opened }): JSX.Element {
  const { conversation, turns } = at;
  const path = useMemo(() => turns.path(conversation.leaf), [at]);
  const [drawn, draw] = useState(DRAWN_AT_ONCE);
  const box = useRef<HTMLDivElement>(null);
  const top = useRef<HTMLDivElement>(null);
  const sticking = useRef(true);
  const below = useRef<number | null>(null); // what stood under the view before earlier turns came
  const first = Math.max(0, path.length - drawn);

  const earlier = () => {
    below.current = box.current ? box.current.scrollHeight - box.current.scrollTop : null;
    draw((count) => count + DRAWN_AT_ONCE);
  };
  useLayoutEffect(() => {
    if (box.current && below.current !== null) box.current.scrollTop = box.current.scrollHeight - below.current;
    below.current = null;
  }, [drawn]);
  useEffect(() => {
    if (first === 0 || !top.current) return undefined;
    const seen = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && earlier(), {
      root: box.current,
      rootMargin: "200px",
    });
    seen.observe(top.current);
    return () => seen.disconnect();
  }, [first]);
  useEffect(() => {
    const shown = box.current;
    const inside = shown?.firstElementChild;
    if (!shown || !inside) return undefined;
    const grown = new ResizeObserver(() => {
      if (sticking.current) shown.scrollTop = shown.scrollHeight;
    });
    grown.observe(inside);
    grown.observe(shown); // settings that open above make it smaller
    return () => grown.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
    sticking.current = true;
  }, [conversation.leaf]);

  return (
    <div
      ref={box}
      class="thread"
      tabIndex={0}
      role="region"
      aria-label={w.value.conversation}
      onScroll={({ currentTarget: here }) => {
        sticking.current = here.scrollHeight - here.scrollTop - here.clientHeight < NEAR_PX;
      }}
    >
      <div class="turns">
        {first > 0 && (
          <div ref={top} class="row center">
            <Button label={w.value.earlier} onClick={earlier}>{w.value.earlier}</Button>
          </div>
        )}
        {path.slice(first).map((turn) => (
          <TurnView key={turn.id} turn={turn} turns={turns} />
        ))}
      </div>
    </div>
  );
}
