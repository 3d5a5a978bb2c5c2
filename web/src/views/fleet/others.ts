// What others than the fleets of this machine have of a GPU. Pure.
import type { DeviceReport } from "../../api/fleet";

/** Of what is used, all that the replicas' own processes have not taken. */
export function othersOn({ memory_bytes, free_bytes, processes, replicas }: DeviceReport): number {
  const given = new Map(replicas.map((each) => [each.replica, each.memory_bytes]));
  const taken = processes
    .filter((each) => each.replica)
    .reduce((all, each) => all + (each.memory_bytes ?? given.get(each.replica) ?? 0), 0); // a driver need not tell
  return Math.max(0, memory_bytes - free_bytes - taken);
}
