// The history: search, open, rename, remove, to and from files.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Conversation } from "../../history/conversation";
import { asFastChat, asJson, FormatError, read, type Whole } from "../../history/formats";
import { add, change, conversations, libraryFault, newId, opened, remove, saying, whole } from "../../history/library";
import { asMarkdown } from "../../history/markdown_file";
import { address, go } from "../../state/route";
import { Button } from "../../ui/button";
import { save } from "../../ui/files";
import { w } from "../../words";
import { running, stop } from "./talk";

const DRAWN_AT_ONCE = 100;
const SEARCH_AFTER_MS = 200;

export function Shelf({ onNew, onChosen }: { onNew: () => void; onChosen: () => void }): JSX.Element {
  const [search, setSearch] = useState("");
  const [found, setFound] = useState<ReadonlySet<string> | null>(null);
  const [drawn, draw] = useState(DRAWN_AT_ONCE);
  const t = w.value;
  useEffect(() => {
    const text = search.trim();
    if (!text) {
      setFound(null);
      return undefined;
    }
    let late = false;
    const timer = setTimeout(() => void saying(text).then((ids) => !late && setFound(ids)), SEARCH_AFTER_MS);
    return () => {
      late = true;
      clearTimeout(timer);
    };
  }, [search]);
  const wanted = search.trim().toLowerCase();
  const all = conversations.value.filter(
    (each) => !wanted || each.title.toLowerCase().includes(wanted) || found?.has(each.id),
  );
  return (
    <nav class="shelf" aria-label={t.history}>
      <Button label={t.newChat} icon="plus" onClick={onNew}>{t.newChat}</Button>
      <input
        type="search"
        class="search"
        aria-label={t.searchHistory}
        placeholder={t.searchHistory}
        value={search}
        onInput={(event) => setSearch(event.currentTarget.value)}
      />
      {libraryFault.value && <p class="fault">{t.notKept} {libraryFault.value}</p>}
      <ul>
        {all.slice(0, drawn).map((each) => (
          <Row key={each.id} conversation={each} onChosen={onChosen} />
        ))}
      </ul>
      {all.length > drawn && (
        <Button label={t.more} onClick={() => draw(drawn + DRAWN_AT_ONCE)}>{t.more}</Button>
      )}
      {all.length === 0 && <p class="note">{wanted ? t.nothingFound : t.noHistory}</p>}
      <Files />
    </nav>
  );
}

function Row({ conversation, onChosen }: { conversation: Conversation; onChosen: () => void }): JSX.Element {
  const [naming, setNaming] = useState<string | null>(null);
  const t = w.value;
  const { id } = conversation;
  const title = conversation.title || t.untitled;
  const here = opened.value?.conversation.id === id;
  const rename = () => {
    if (naming?.trim()) change(id, { title: naming.trim() });
    setNaming(null);
  };
  const drop = () => {
    if (!confirm(t.reallyRemove(title))) return;
    stop(id);
    void remove(id);
    if (here) go("chat");
  };
  if (naming !== null) {
    return (
      <li>
        <input
          aria-label={t.rename}
          value={naming}
          maxLength={200}
          ref={(field) => field?.focus()}
          onInput={(event) => setNaming(event.currentTarget.value)}
          onBlur={rename}
          onKeyDown={(event) => {
            if (event.key === "Enter" && !event.isComposing) rename();
            if (event.key === "Escape") setNaming(null);
          }}
        />
      </li>
    );
  }
  return (
    <li class={here ? "here" : ""}>
      <a href={address("chat", id)} onClick={onChosen} {...(here && { "aria-current": "page" as const })}>
        {running.value.has(id) && <i class="pulse" aria-label={t.answering} role="img" />}
        {title}
      </a>
      <span class="row-actions">
        <Button label={`${t.rename}: ${title}`} icon="edit" kind="quiet" onClick={() => setNaming(conversation.title)} />
        <Button label={`${t.remove}: ${title}`} icon="bin" kind="quiet" onClick={drop} />
      </span>
    </li>
  );
}

type Format = "json" | "markdown" | "fastchat";
const FORMATS: Record<Format, [name: string, kind: string, write: (all: readonly Whole[]) => string]> = {
  json: ["argosy-conversations.json", "application/json", asJson],
  markdown: ["argosy-conversations.md", "text/markdown", asMarkdown],
  fastchat: ["argosy-conversations.jsonl", "application/jsonl", asFastChat],
};

function Files(): JSX.Element {
  const [format, setFormat] = useState<Format>("json");
  const [told, tell] = useState("");
  const chooser = useRef<HTMLInputElement>(null);
  const t = w.value;
  const write = async (ids: readonly string[]) => {
    const [name, kind, make] = FORMATS[format];
    save(name, kind, make(await whole(ids)));
  };
  const bring = async (file: File | undefined) => {
    if (!file) return;
    try {
      const found = read(await file.text(), { id: newId, now: Date.now() });
      await add(found);
      tell(t.imported(found.length));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      tell(t.notImported(file.name));
    }
  };
  return (
    <details class="files">
      <summary>{t.exportImport}</summary>
      <label>
        {t.format}
        <select value={format} onChange={(event) => setFormat(event.currentTarget.value as Format)}>
          <option value="json">JSON</option>
          <option value="markdown">Markdown</option>
          <option value="fastchat">FastChat</option>
        </select>
      </label>
      <div class="row">
        <Button label={t.exportThis} icon="save" disabled={!opened.value} onClick={() => opened.value && void write([opened.value.conversation.id])}>
          {t.exportThis}
        </Button>
        <Button label={t.exportAll} icon="save" onClick={() => void write(conversations.value.map((each) => each.id))}>{t.exportAll}</Button>
        <Button label={t.import} icon="open" onClick={() => chooser.current?.click()}>{t.import}</Button>
      </div>
      <input
        ref={chooser}
        type="file"
        hidden
        accept=".json,.jsonl,.md,application/json,text/markdown"
        aria-label={t.import}
        onChange={(event) => {
          void bring(event.currentTarget.files?.[0]);
          event.currentTarget.value = "";
        }}
      />
      <p class="note" role="status">{told}</p>
    </details>
  );
}
