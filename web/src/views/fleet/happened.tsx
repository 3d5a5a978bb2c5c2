// Changes of state as they happen, the newest first.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { fleetEvents, type FleetEvent } from "../../api/fleet";
import { language } from "../../state/preferences";
import { w } from "../../words";

const KEPT = 50;
const AGAIN_MS = 2000;

export function Happened(): JSX.Element {
  const [all, setAll] = useState<readonly FleetEvent[]>([]);
  const t = w.value;
  useEffect(() => {
    const ending = new AbortController();
    void (async () => {
      while (!ending.signal.aborted) {
        try {
          for await (const event of fleetEvents(ending.signal)) setAll((before) => [event, ...before].sort(byHour).slice(0, KEPT));
        } catch {
          // the report says what is wrong; a controller that comes back begins with what is there now
        }
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
        if (!ending.signal.aborted) setAll([]);
      }
    })();
    return () => ending.abort();
  }, []);
  return (
    <section class="card happened" aria-label={t.happened}>
      <h2>{t.happened}</h2>
      <ul class="events">
        {all.map((event, place) => (
          <li key={all.length - place}>
            {event.at > 0 && <Moment at={new Date(event.at * 1000)} />}
            <strong>{event.name}</strong>
            <span class={`badge ${event.state}`}>{t.replicaStates[event.state] ?? event.state}</span>
            <span class="note">{event.reason}</span>
          </li>
        ))}
      </ul>
      {all.length === 0 && <p class="note">{t.nothingHappened}</p>}
    </section>
  );
}

/** What is so already is told first, in no order. */
const byHour = (one: FleetEvent, other: FleetEvent) => other.at - one.at;

/** The hour; before today the day too. */
function Moment({ at }: { at: Date }): JSX.Element {
  const today = at.toDateString() === new Date().toDateString();
  return <time dateTime={at.toISOString()}>{today ? at.toLocaleTimeString(language.value) : at.toLocaleString(language.value)}</time>;
}
