// The end of a replica's log, growing as the replica writes. Text as it is: what an engine writes is no page.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { logPart } from "../../api/fleet";
import { sentence } from "../../api/http";
import { w } from "../../words";

const EVERY_MS = 1000;
const AGAIN_MS = 5000; // after a refusal: its worker is gone, or silent
const MOST_KEPT = 200_000; // characters

export function Log({ replica }: { replica: string }): JSX.Element {
  const [text, setText] = useState("");
  const [fault, setFault] = useState<string | null>(null);
  const box = useRef<HTMLPreElement>(null);
  useEffect(() => {
    const ending = new AbortController();
    void (async () => {
      let after: string | null = null;
      while (!ending.signal.aborted) {
        let pause = EVERY_MS;
        try {
          const [part, end]: [string, string | null] = await logPart(replica, after, ending.signal);
          after = end;
          if (part) setText((before) => (before + part).slice(-MOST_KEPT));
          setFault(null);
        } catch (error) {
          pause = AGAIN_MS;
          if (!ending.signal.aborted) setFault(sentence(error));
        }
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    })();
    return () => ending.abort();
  }, [replica]);
  useEffect(() => {
    const shown = box.current;
    if (shown && shown.scrollHeight - shown.scrollTop - shown.clientHeight < 400) shown.scrollTop = shown.scrollHeight;
  }, [text]);
  return (
    <>
      {fault && <p class="fault">{fault}</p>}
      <pre ref={box} class="log" tabIndex={0} role="log" aria-live="off" aria-label={w.value.logOf(replica)}>{text}</pre>
    </>
  );
}
