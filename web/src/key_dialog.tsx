// Asks for a key, once: when the door refused without one, or when somebody wants the fleet's changes.
import type { JSX } from "preact";
import { useId, useState } from "preact/hooks";
import { lookAtModels } from "./api/models";
import { give, wanted } from "./state/keys";
import { Button } from "./ui/button";
import { Dialog } from "./ui/dialog";
import { w } from "./words";

export function KeyDialog(): JSX.Element | null {
  const [key, setKey] = useState("");
  const [lasting, setLasting] = useState(false);
  const id = useId();
  const kind = wanted.value;
  if (kind === null) return null;
  const t = w.value;
  const use = () => {
    if (!key.trim()) return;
    give(kind, key.trim(), lasting);
    setKey("");
    wanted.value = null;
    lookAtModels();
  };
  return (
    <Dialog title={t.keyTitle[kind]} onClose={() => (wanted.value = null)}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          use();
        }}
      >
        <p>{t.keyText[kind]}</p>
        <label for={id}>{t.keyField[kind]}</label>
        <input id={id} type="password" autocomplete="off" value={key} onInput={(event) => setKey(event.currentTarget.value)} />
        <fieldset>
          <legend>{t.keyKept}</legend>
          <label>
            <input type="radio" name="kept" checked={!lasting} onChange={() => setLasting(false)} /> {t.keyForTab}
          </label>
          <label>
            <input type="radio" name="kept" checked={lasting} onChange={() => setLasting(true)} /> {t.keyForBrowser}
          </label>
        </fieldset>
        <div class="row end">
          <Button label={t.keyUse} kind="main" onClick={use}>{t.keyUse}</Button>
        </div>
      </form>
    </Dialog>
  );
}
