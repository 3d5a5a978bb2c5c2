// A menu of models, each with its state, and how many wait for it. The browser's own: keys and screen readers know it.
import type { JSX } from "preact";
import { chatModels, modelNamed, type ModelView } from "../api/models";
import { w } from "../words";

interface Props {
  readonly label: string;
  readonly chosen: string;
  readonly onChoose: (name: string) => void;
}

export function ModelMenu({ label, chosen, onChoose }: Props): JSX.Element {
  const all = chatModels.value;
  const known = modelNamed(chosen);
  return (
    <span class="model-menu">
      <select aria-label={label} value={chosen} onChange={(event) => onChoose(event.currentTarget.value)}>
        {chosen && !all.some((each) => each.name === chosen) && <option value={chosen}>{chosen}</option>}
        {!chosen && <option value="">{w.value.chooseModel}</option>}
        {all.map((each) => (
          <option key={each.name} value={each.name}>
            {each.name === known?.name ? each.name : `${each.name} · ${stateOf(each)}`}
          </option>
        ))}
      </select>
      {known && <span class={`badge ${known.state}`}>{stateOf(known)}</span>}
    </span>
  );
}

function stateOf(model: ModelView): string {
  const t = w.value;
  return model.waiting > 0 ? `${t.states[model.state]}, ${t.waitingCount(model.waiting)}` : t.states[model.state];
}
