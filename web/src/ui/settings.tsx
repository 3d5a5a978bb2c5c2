// How a conversation is sampled, and its system prompt. An empty field leaves it to the model.
import type { JSX } from "preact";
import { useId } from "preact/hooks";
import type { Sampling } from "../api/chat";
import { w } from "../words";

const FIELDS = [
  ["temperature", 0, 2, 0.1],
  ["top_p", 0, 1, 0.05],
  ["top_k", 0, 1000, 1],
  ["max_tokens", 1, 1_000_000, 1],
  ["seed", 0, 2_147_483_647, 1],
] as const;

interface Props {
  readonly sampling: Sampling;
  readonly onSampling: (sampling: Sampling) => void;
  readonly system?: string;
  readonly onSystem?: (system: string) => void;
}

export function Settings({ sampling, onSampling, system, onSystem }: Props): JSX.Element {
  const t = w.value;
  const id = useId();
  const set = (name: keyof Sampling, text: string) => {
    const { [name]: _, ...others } = sampling;
    const value = Number(text);
    onSampling(text.trim() && Number.isFinite(value) ? { ...others, [name]: value } : others);
  };
  return (
    <fieldset class="settings">
      <legend class="unseen">{t.settings}</legend>
      {onSystem && (
        <label class="wide" for={`${id}-system`}>
          {t.system}
          <textarea id={`${id}-system`} rows={3} value={system} onInput={(event) => onSystem(event.currentTarget.value)} />
        </label>
      )}
      {FIELDS.map(([name, min, max, step]) => (
        <label key={name} for={`${id}-${name}`}>
          {t.sampling[name]}
          <input
            id={`${id}-${name}`}
            type="number"
            min={min}
            max={max}
            step={step}
            placeholder={t.byModel}
            value={sampling[name] ?? ""}
            onInput={(event) => set(name, event.currentTarget.value)}
          />
        </label>
      ))}
    </fieldset>
  );
}
