// The chat: the history at the side, the open conversation, where one writes.
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Sampling } from "../../api/chat";
import { firstModel, modelNamed, models, modelsFault } from "../../api/models";
import { begin, change, open, opened } from "../../history/library";
import { askedModel, go, route } from "../../state/route";
import { Button } from "../../ui/button";
import { Composer } from "../../ui/composer";
import { ModelMenu } from "../../ui/model_menu";
import { Settings } from "../../ui/settings";
import logo from "../../style/logo.svg";
import { w } from "../../words";
import { Shelf } from "./shelf";
import { running, send, stop } from "./talk";
import { Thread } from "./thread";

/** What the next new conversation begins with. */
const draft = signal<{ model: string | null; system: string; sampling: Sampling }>({
  model: askedModel,
  system: "",
  sampling: {},
});

export function Chat({ ready }: { ready: boolean }): JSX.Element {
  const { id } = route.value;
  const [shelfOpen, showShelf] = useState(false);
  const [settingsOpen, showSettings] = useState(false);
  const t = w.value;
  useEffect(() => {
    if (ready) void open(id).then((found) => found || go("chat", undefined, { replacing: true }));
  }, [id, ready]);

  const at = opened.value?.conversation.id === id ? opened.value : null;
  const now = at?.conversation ?? draft.value;
  const model = now.model || askedModel || firstModel.value; // an imported conversation may name none
  const busy = at !== null && running.value.has(at.conversation.id);
  const set = (changes: { model?: string; system?: string; sampling?: Sampling }) => {
    if (at) change(at.conversation.id, changes);
    draft.value = { ...draft.value, ...changes };
  };
  const say = (text: string, images: readonly string[]) => {
    const place = at ?? begin(model, now.system, now.sampling);
    if (!at) go("chat", place.conversation.id, { replacing: true });
    else if (!now.model) set({ model });
    send(opened.value ?? place, text, images);
  };
  return (
    <div class={`chat${shelfOpen ? " shelf-open" : ""}`}>
      <Shelf
        onNew={() => {
          showShelf(false);
          go("chat");
        }}
        onChosen={() => showShelf(false)}
      />
      <section class="desk" aria-label={t.views.chat}>
        <div class="row between one bar">
          <span class="row one">
            <span class="phone-only">
              <Button label={t.history} icon="menu" kind="quiet" pressed={shelfOpen} onClick={() => showShelf(!shelfOpen)} />
            </span>
            <ModelMenu label={t.model} chosen={model} onChoose={(name) => set({ model: name })} />
          </span>
          <Button label={t.settings} icon="settings" kind="quiet" pressed={settingsOpen} onClick={() => showSettings(!settingsOpen)} />
        </div>
        {settingsOpen && (
          <Settings
            sampling={now.sampling}
            onSampling={(sampling) => set({ sampling })}
            system={now.system}
            onSystem={(system) => set({ system })}
          />
        )}
        {at ? <Thread key={at.conversation.id} at={at} /> : <Welcome onStart={model ? (text) => say(text, []) : null} />}
        <Composer
          busy={busy}
          disabled={!model}
          sees={modelNamed(model)?.sees !== false}
          onSend={say}
          onStop={() => at && stop(at.conversation.id)}
        />
      </section>
    </div>
  );
}

/** Before the first word. `onStart`: null where nobody would answer. */
function Welcome({ onStart }: { onStart: ((text: string) => void) | null }): JSX.Element {
  const t = w.value;
  const all = models.value;
  return (
    <div class="welcome">
      <img src={logo} alt="" width="64" height="64" />
      <h1>{t.welcome}</h1>
      <p>{modelsFault.value ?? (all === null ? t.loading : all.length === 0 ? t.noModels : t.welcomeText)}</p>
      {onStart && (
        <div class="starters" role="group" aria-label={t.startersLabel}>
          {t.starters.map((text) => <Button key={text} label={text} onClick={() => onStart(text)}>{text}</Button>)}
        </div>
      )}
    </div>
  );
}
