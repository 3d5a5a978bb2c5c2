// One deployment: its state, figures, replicas, and with the admin key what can be done.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { change, scale, type Change, type DeploymentReport, type ReplicaReport } from "../../api/fleet";
import { sentence } from "../../api/http";
import { Button } from "../../ui/button";
import { w } from "../../words";
import { bytes, Charts, MemoryBar } from "./figures";
import { Log } from "./log";
import { lookAtFleet, machines, stateOf } from "./watching";

export function DeploymentCard({ deployment }: { deployment: DeploymentReport }): JSX.Element {
  const [count, setCount] = useState<string | null>(null);
  const [shownLog, showLog] = useState<string | null>(null);
  const [refused, refuse] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const t = w.value;
  const { name, engine, source, wanted, ready, stopped, replicas } = deployment;
  const state = stateOf(deployment);
  const act = async (doing: Promise<unknown>) => {
    setBusy(true);
    refuse(null);
    try {
      await doing;
      lookAtFleet();
    } catch (error) {
      refuse(sentence(error));
    }
    setBusy(false);
  };
  const press = (what: Change, whom: string) => void act(change(what, whom));
  const turn = () => {
    if (stopped) press("start", name);
    else if (confirm(t.reallyStop(name))) press("stop", name);
  };
  const rescale = () => {
    const replicasWanted = Number(count);
    if (count === null || !Number.isInteger(replicasWanted) || replicasWanted < 0) return;
    setCount(null);
    void act(scale(name, replicasWanted));
  };
  return (
    <section class="card deployment" aria-label={name}>
      <div class="row between">
        <div class="row">
          <h2>{name}</h2>
          <span class={`badge ${state}`}>{t.states[state]}</span>
          <span class="note">{[t.readyOf(ready, wanted), engine, source?.startsWith("/") ? source.split("/").at(-1) : source].filter(Boolean).join(" · ")}</span>
        </div>
        {engine !== "remote" && (
          <div class="row">
            <input
              class="scale"
              type="number"
              min={0}
              max={1000}
              aria-label={t.scaleTo(name)}
              value={count ?? wanted}
              onInput={(event) => setCount(event.currentTarget.value)}
              onKeyDown={(event) => event.key === "Enter" && rescale()}
            />
            <Button label={`${t.scale}: ${name}`} disabled={busy || count === null || count === String(wanted)} onClick={rescale}>{t.scale}</Button>
            <Button label={`${t.restart}: ${name}`} disabled={busy || stopped} onClick={() => press("restart", name)}>{t.restart}</Button>
            <Button label={`${stopped ? t.start : t.stopDeployment}: ${name}`} kind={stopped ? "main" : "danger"} disabled={busy} onClick={turn}>
              {stopped ? t.start : t.stopDeployment}
            </Button>
          </div>
        )}
      </div>
      {refused && <p class="fault" role="alert">{refused}</p>}
      <Charts name={name} admin />
      <div class="scroll" tabIndex={0} role="region" aria-label={`${t.replicas}: ${name}`}>
        <table class="figures-table replicas">
          <thead>
            <tr>
              <th scope="col">{t.replica}</th>
              <th scope="col">{t.state}</th>
              <th scope="col">{t.inFlight}</th>
              <th scope="col">{t.tokensRate}</th>
              <th scope="col">{t.memory}</th>
              <th scope="col">{t.devices}</th>
              <th scope="col">{t.restarts}</th>
              <th scope="col"><span class="unseen">{t.log}</span></th>
            </tr>
          </thead>
          <tbody>
            {replicas.map((replica) => (
              <Row
                key={replica.id}
                replica={replica}
                busy={busy}
                remote={engine === "remote"}
                onChange={press}
                logShown={shownLog === replica.id}
                onLog={() => showLog(shownLog === replica.id ? null : replica.id)}
              />
            ))}
          </tbody>
        </table>
      </div>
      {shownLog && <Log key={shownLog} replica={shownLog} />}
    </section>
  );
}

const COLUMNS = 8;

interface RowProps {
  readonly replica: ReplicaReport;
  readonly busy: boolean;
  readonly remote: boolean;
  readonly logShown: boolean;
  readonly onLog: () => void;
  readonly onChange: (what: Change, whom: string) => void;
}

function Row({ replica, busy, remote, logShown, onLog, onChange }: RowProps): JSX.Element {
  const t = w.value;
  const { id, state, reason, in_flight, tokens_per_second, memory_bytes, devices, node, restarts, since } = replica;
  const whole = machines.value.find((each) => each.node === node)?.memory_bytes;
  const out = state === "stopped" || state === "failed";
  const row = (
    <tr>
      <th scope="row">{id}</th>
      <td>
        <span class={`badge ${state}`} title={since ? new Date(since * 1000).toLocaleString() : ""}>{t.replicaStates[state] ?? state}</span>
      </td>
      <td>{in_flight}</td>
      <td>{tokens_per_second.toFixed(1)}</td>
      <td>
        {memory_bytes !== null && whole !== undefined && <MemoryBar label={`${t.memory} ${id}`} own={memory_bytes} whole={whole} />}
        {memory_bytes === null ? "–" : bytes(memory_bytes)}
      </td>
      <td>{devices.join(", ") || "–"}</td>
      <td>{restarts}</td>
      <td>
        {!remote && (
          <span class="row">
            <Button label={`${t.log}: ${id}`} pressed={logShown} onClick={onLog}>{t.log}</Button>
            <Button label={`${out ? t.start : t.drain}: ${id}`} disabled={busy} onClick={() => onChange(out ? "start" : "drain", id)}>
              {out ? t.start : t.drain}
            </Button>
          </span>
        )}
      </td>
    </tr>
  );
  if (!reason) return row;
  return (
    <>
      {row}
      <tr class="why"><td colSpan={COLUMNS}>{reason}</td></tr>
    </>
  );
}
