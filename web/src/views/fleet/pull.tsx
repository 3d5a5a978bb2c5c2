// Fetching weights before they are needed, with its progress.
import type { JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { pull, type PullEvent } from "../../api/fleet";
import { sentence } from "../../api/http";
import { Button } from "../../ui/button";
import { w } from "../../words";

export function Pull(): JSX.Element {
  const [source, setSource] = useState("");
  const [told, tell] = useState<PullEvent | null>(null);
  const [running, setRunning] = useState(false);
  const ending = useRef<AbortController | null>(null);
  const id = useId();
  const t = w.value;
  useEffect(() => () => ending.current?.abort(), []);
  const begin = async () => {
    if (!source.trim() || running) return;
    const until = (ending.current = new AbortController());
    setRunning(true);
    tell(null);
    const broken: PullEvent = { state: "failed", text: t.pullBroken, done_bytes: 0, total_bytes: null };
    let last: PullEvent | null = null;
    try {
      for await (const event of pull(source.trim(), until.signal)) tell((last = event));
      if (last?.state !== "done" && last?.state !== "failed") tell(broken);
    } catch (error) {
      tell(until.signal.aborted ? broken : { ...broken, text: sentence(error) });
    }
    setRunning(false);
  };
  return (
    <section class="card pull" aria-label={t.pull}>
      <h2>{t.pull}</h2>
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          void begin();
        }}
      >
        <label for={id}>{t.pullSource}</label>
        <input id={id} value={source} placeholder={t.pullHint} size={40} onInput={(event) => setSource(event.currentTarget.value)} />
        {running ? (
          <Button label={t.stop} icon="stop" onClick={() => ending.current?.abort()}>{t.stop}</Button>
        ) : (
          <Button label={t.pullStart} kind="main" disabled={!source.trim()} onClick={() => void begin()}>{t.pullStart}</Button>
        )}
      </form>
      {told && (
        <p class={told.state === "failed" ? "fault" : "note"} role="status">
          {told.state === "done" ? t.pullDone(told.text) : told.text}
        </p>
      )}
      {running && <progress aria-label={t.pull} {...(told?.total_bytes && { max: told.total_bytes, value: told.done_bytes })} />}
    </section>
  );
}
