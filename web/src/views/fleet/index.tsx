// The fleet as it is now. Without the admin key: deployments and their lines; with it all, and changes.
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { models } from "../../api/models";
import { keys, wanted } from "../../state/keys";
import { Button } from "../../ui/button";
import { w } from "../../words";
import { DeploymentCard } from "./deployment";
import { Charts, Totals } from "./figures";
import { Happened } from "./happened";
import { Machines } from "./machines";
import { Pull } from "./pull";
import { fault, lookAtFleet, report, watchFleet } from "./watching";

export default function Fleet(): JSX.Element {
  const t = w.value;
  useEffect(() => watchFleet(), []);
  useEffect(() => lookAtFleet(), [keys.value.admin]);
  const seen = report.value;
  return (
    <div class="page">
      <h1>{seen ? t.fleetOf(seen.name) : t.fleetTitle}</h1>
      {fault.value && (
        <p class="fault" role="alert">{fault.value.noController ? t.noController : `${t.fleetGone} ${fault.value.text}`}</p>
      )}
      {seen ? (
        <>
          <Totals />
          <Machines />
          {seen.deployments.map((each) => <DeploymentCard key={each.name} deployment={each} />)}
          <Pull />
          <Happened />
        </>
      ) : (
        <Outside />
      )}
    </div>
  );
}

/** What a client key shows. */
function Outside(): JSX.Element {
  const t = w.value;
  return (
    <>
      <div class="card row between">
        <span>{t.adminWanted}</span>
        <Button label={t.giveAdminKey} icon="key" kind="main" onClick={() => (wanted.value = "admin")}>{t.giveAdminKey}</Button>
      </div>
      {(models.value ?? []).map((each) => (
        <section key={each.name} class="card deployment" aria-label={each.name}>
          <div class="row">
            <h2>{each.name}</h2>
            <span class={`badge ${each.state}`}>{t.states[each.state]}</span>
            <span class="note">{t.readyOf(each.ready, each.wanted)}</span>
          </div>
          <Charts name={each.name} admin={false} />
        </section>
      ))}
    </>
  );
}
