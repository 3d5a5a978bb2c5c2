// The machines of the fleet: memory and GPUs as bars of what is ours, what others have, and what is free.
import type { JSX } from "preact";
import type { DeviceReport, DevicesReport } from "../../api/fleet";
import { w } from "../../words";
import { bytes, MemoryBar } from "./figures";
import { othersOn } from "./others";
import { machines, report } from "./watching";

export function Machines(): JSX.Element {
  return <>{machines.value.map((machine) => <Machine key={machine.node} machine={machine} />)}</>;
}

function Machine({ machine }: { machine: DevicesReport }): JSX.Element {
  const t = w.value;
  const own = (report.value?.deployments ?? [])
    .flatMap((each) => each.replicas)
    .filter((replica) => replica.node === machine.node)
    .reduce((all, replica) => all + (replica.memory_bytes ?? 0), 0);
  return (
    <section class="card machine" aria-label={machine.node}>
      <div class="row between">
        <h2>{machine.node}</h2>
        <span class="note">
          {t.cores(machine.cores)}
          {machine.simulated && ` · ${t.simulated}`}
        </span>
      </div>
      <div class="memories">
        <Memory label={t.memory} ownWord={t.ofThisFleet} own={own} others={Math.max(0, machine.memory_bytes - machine.free_bytes - own)} whole={machine.memory_bytes} />
        {machine.devices.map((device) => <Gpu key={device.index} device={device} />)}
      </div>
    </section>
  );
}

function Gpu({ device }: { device: DeviceReport }): JSX.Element {
  const given = device.replicas.reduce((all, each) => all + each.memory_bytes, 0);
  return (
    <Memory
      label={`gpu${device.index} ${device.name}`}
      ownWord={w.value.givenOut}
      own={given}
      others={othersOn(device)}
      whole={device.memory_bytes}
      shares={device.replicas}
    />
  );
}

interface MemoryProps {
  readonly label: string;
  readonly ownWord: string;
  readonly own: number;
  readonly others: number;
  readonly whole: number;
  readonly shares?: DeviceReport["replicas"];
}

function Memory({ label, ownWord, own, others, whole, shares = [] }: MemoryProps): JSX.Element {
  const t = w.value;
  return (
    <div>
      <div class="row between">
        <strong>{label}</strong>
        <span class="note">{bytes(whole)}</span>
      </div>
      <MemoryBar long label={label} own={own} others={others} whole={whole} />
      <p class="legend">
        <span><i /> {ownWord} {bytes(own)}</span>
        {others > 0 && <span><i class="others" /> {t.ofOthers} {bytes(others)}</span>}
        <span><i class="free" /> {t.freeMemory} {bytes(Math.max(0, whole - own - others))}</span>
      </p>
      {shares.length > 0 && (
        <ul class="shares">
          {shares.map((each) => <li key={each.replica}><span>{each.replica}</span> {bytes(each.memory_bytes)}</li>)}
        </ul>
      )}
    </div>
  );
}
